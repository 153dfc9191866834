//! Reads and writes files with `std::fs`, as the request's path says; reads configuration with `wasi:config`; and
//! asks for what there is none of: stores of `wasi:keyvalue`, and sockets.
//! `GET /read?path=templates/page.html`. What fails answers 404 with the error's kind.
use std::fs::{self, OpenOptions};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::io::{self, Read, Seek, SeekFrom, Write};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

mod config {
    wit_bindgen::generate!({
        inline: "
            package wasi:config@0.2.0-rc.1;
            interface store {
              variant error { upstream(string), io(string) }
              get: func(key: string) -> result<option<string>, error>;
              get-all: func() -> result<list<tuple<string, string>>, error>;
            }
            world configured { import store; }
        ",
    });
    pub use self::wasi::config::store::{get, get_all};
}

mod keyvalue {
    wit_bindgen::generate!({
        inline: "
            package wasi:keyvalue@0.2.0-draft;
            interface store {
              variant error { no-such-store, access-denied, other(string) }
              record key-response { keys: list<string>, cursor: option<u64> }
              open: func(identifier: string) -> result<bucket, error>;
              resource bucket {
                get: func(key: string) -> result<option<list<u8>>, error>;
                set: func(key: string, value: list<u8>) -> result<_, error>;
                delete: func(key: string) -> result<_, error>;
                exists: func(key: string) -> result<bool, error>;
                list-keys: func(cursor: option<u64>) -> result<key-response, error>;
              }
            }
            interface atomics {
              use store.{bucket, error};
              increment: func(bucket: borrow<bucket>, key: string, delta: s64) -> result<s64, error>;
            }
            interface batch {
              use store.{bucket, error};
              get-many: func(bucket: borrow<bucket>, keys: list<string>)
                -> result<list<option<tuple<string, list<u8>>>>, error>;
            }
            world storing { import store; import atomics; import batch; }
        ",
    });
    pub use self::wasi::keyvalue::{atomics, batch, store};
}

struct Files;
wasip2::http::proxy::export!(Files);

fn parameter<'a>(query: &'a str, name: &str, default: &'a str) -> &'a str {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map_or(default, |(_, value)| value)
}

/// Names in a folder, those of folders with a slash; in order.
fn list(path: &str) -> io::Result<Vec<u8>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}\n", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names.concat().into_bytes())
}

fn stat(path: &str) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    let kind = if found.is_dir() { "folder" } else { "file" };
    Ok(format!("{kind} {} {}\n", found.len(), found.modified().is_ok()).into_bytes())
}

/// What a program does to a scratch folder: all of it must work, and nothing of it be there in the next request.
fn scratch() -> io::Result<Vec<u8>> {
    let before = fs::read_dir("/tmp")?.count();
    fs::create_dir_all("/tmp/a/b")?;
    fs::write("/tmp/a/b/one", "12345")?;
    OpenOptions::new().append(true).open("/tmp/a/b/one")?.write_all(b"67890")?;
    fs::rename("/tmp/a/b/one", "/tmp/two")?;
    fs::copy("/tmp/two", "/tmp/three")?;
    let mut file = OpenOptions::new().read(true).write(true).open("/tmp/three")?;
    file.seek(SeekFrom::Start(5))?;
    file.write_all(b"--")?;
    file.set_len(8)?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(2))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    fs::remove_dir_all("/tmp/a")?;
    fs::remove_file("/tmp/two")?;
    let after = fs::read_dir("/tmp")?.count();
    Ok(format!("{before} {text} {after}\n").into_bytes())
}

/// Writes until there is no more room: bytes written, and the error.
fn fill() -> Vec<u8> {
    let chunk = vec![7; 64 * 1024];
    let mut bytes = 0;
    for number in 0.. {
        let Ok(mut file) = fs::File::create(format!("/tmp/{number}")) else { break };
        for _ in 0..16 {
            match file.write(&chunk) {
                Ok(written) => bytes += written,
                Err(error) => return format!("{bytes} {:?}\n", error.kind()).into_bytes(),
            }
        }
    }
    format!("{bytes}\n").into_bytes()
}

/// Makes empty files until that fails.
fn hoard() -> Vec<u8> {
    for number in 0.. {
        if let Err(error) = fs::File::create(format!("/tmp/{number}")) {
            return format!("{number} {:?}\n", error.kind()).into_bytes();
        }
    }
    Vec::new()
}

fn all_config() -> io::Result<Vec<u8>> {
    let mut all = config::get_all().map_err(|_| io::ErrorKind::Other)?;
    all.sort();
    Ok(all.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>().into_bytes())
}

/// Uses every function that a guest with a store would, so that all of them are linked.
fn keyvalue() -> Vec<u8> {
    let opened = keyvalue::store::open("default");
    if let Ok(bucket) = &opened {
        let _ = (bucket.get("a"), bucket.set("a", b"b"), bucket.delete("a"), bucket.exists("a"), bucket.list_keys(None));
        let _ = keyvalue::atomics::increment(bucket, "a", 1);
        let _ = keyvalue::batch::get_many(bucket, &["a".to_string()]);
    }
    format!("{:?}\n", opened.err()).into_bytes()
}

fn sockets() -> Vec<u8> {
    let kinds = [
        TcpStream::connect("127.0.0.1:80").err(),
        TcpListener::bind("127.0.0.1:0").err(),
        UdpSocket::bind("127.0.0.1:0").err(),
        "localhost:80".to_socket_addrs().err(),
    ]
    .map(|error| error.map_or("none".to_string(), |error| format!("{:?}", error.kind())));
    (kinds.join(" ") + "\n").into_bytes()
}

fn answer_to(path: &str, query: &str) -> io::Result<Vec<u8>> {
    let file = parameter(query, "path", "/");
    match path {
        "/read" => fs::read(file),
        "/list" => list(file),
        "/stat" => stat(file),
        "/write" => fs::write(file, parameter(query, "text", "text")).map(|()| b"written\n".to_vec()),
        "/remove" => fs::remove_file(file).map(|()| b"removed\n".to_vec()),
        "/scratch" => scratch(),
        "/fill" => Ok(fill()),
        "/hoard" => Ok(hoard()),
        "/config" => match config::get(parameter(query, "key", "")) {
            Ok(Some(value)) => Ok(value.into_bytes()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        "/all-config" => all_config(),
        "/keyvalue" => Ok(keyvalue()),
        "/sockets" => Ok(sockets()),
        _ => Ok(b"hello\n".to_vec()),
    }
}

fn send(out: ResponseOutparam, status: u16, bytes: &[u8]) {
    let response = OutgoingResponse::new(Fields::new());
    let _ = response.set_status_code(status);
    let body = response.body().expect("first body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("first stream");
    for chunk in bytes.chunks(4096) {
        stream.blocking_write_and_flush(chunk).expect("a client");
    }
    drop(stream);
    OutgoingBody::finish(body, None).expect("a whole body");
}

impl Guest for Files {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path_with_query = request.path_with_query().unwrap_or_default();
        let (path, query) = path_with_query.split_once('?').unwrap_or((&path_with_query, ""));
        match answer_to(path, query) {
            Ok(bytes) => send(out, 200, &bytes),
            Err(error) => send(out, 404, format!("{:?} {:?}\n", error.kind(), error.raw_os_error()).as_bytes()),
        }
    }
}
