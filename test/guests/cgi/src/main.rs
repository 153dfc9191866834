//! A WASI preview 1 command that speaks CGI; what it does is chosen by `PATH_INFO`.
use std::env;
use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;

fn main() {
    let path = env::var("PATH_INFO").unwrap_or_default();
    match path.as_str() {
        "/hello" => println!("Content-Type: text/plain\n\nHello from CGI!"),
        "/echo" => echo(),
        "/exit" => exit(),
        "/exit-after" => {
            println!("Content-Type: text/plain\n\nsaid before leaving");
            std::process::exit(3);
        }
        "/spin" => spin(),
        "/trap" => inner_trap(),
        "/panic" => panic!("cgi was told to panic"),
        "/status404" => print!("Status: 404 Not Found\r\nContent-Type: text/plain\r\nX-One: 1\r\nX-One: 2\r\n\r\nnothing here\n"),
        "/redirect" => print!("Location: https://example.com/elsewhere\n\n"),
        "/bad-output" => println!("this is no header"),
        "/no-output" => {}
        "/bad-header" => print!("X-Bad: a\u{1}b\n\nbody"),
        "/big" => big(),
        "/alloc" => alloc(),
        "/cat" => cat(),
        "/count" => count(),
        "/recurse" => println!("Content-Type: text/plain\n\n{}", recurse(1)),
        "/hoard-files" => hoard_files(),
        "/flood-log" => flood_log(),
        "/files" => match files() {
            Ok(report) => println!("Content-Type: text/plain\n\n{report}"),
            Err(error) => println!("Status: 500\n\n{error}"),
        },
        "/read" => {
            let path = env::var("QUERY_STRING").unwrap_or_default();
            println!("Content-Type: text/plain\n\n{:?}", std::fs::read_to_string(path));
        }
        "/binary" => {
            print!("Content-Type: application/octet-stream\n\n");
            io::stdout().write_all(&(0..=255u8).collect::<Vec<_>>()).unwrap();
        }
        "/log" => {
            eprintln!("a line on stderr");
            println!("Content-Type: text/plain\n\nlogged");
        }
        "/file" => println!("Content-Type: text/plain\n\n{:?} {:?}", std::fs::read_dir("/").map(|d| d.count()), std::fs::write("/x", "y")),
        _ => show(),
    }
}

/// The environment, one variable a line, and the body's length.
fn show() {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body).unwrap();
    println!("Content-Type: text/plain\n");
    println!("args={:?}", env::args().collect::<Vec<_>>());
    for (name, value) in env::vars() {
        println!("{name}={value}");
    }
    println!("body={} bytes", body.len());
}

fn echo() {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body).unwrap();
    let kind = env::var("CONTENT_TYPE").unwrap_or("application/octet-stream".into());
    print!("Content-Type: {kind}\n\n");
    io::stdout().write_all(&body).unwrap();
}

fn exit() {
    eprintln!("leaving");
    std::process::exit(7);
}

fn spin() {
    let mut state = 1u64;
    loop {
        state = black_box(state.wrapping_mul(31) + 1);
    }
}

#[inline(never)]
fn inner_trap() {
    std::process::abort();
}

fn big() {
    let bytes = env::var("QUERY_STRING").ok().and_then(|text| text.parse().ok()).unwrap_or(1usize << 20);
    print!("Content-Type: application/octet-stream\n\n");
    io::stdout().write_all(&vec![b'x'; bytes]).unwrap();
}

fn alloc() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(black_box(vec![1u8; 1 << 20]));
    }
}

/// The body, as it comes.
fn cat() {
    print!("Content-Type: application/octet-stream\n\n");
    io::copy(&mut io::stdin(), &mut io::stdout()).unwrap();
}

/// 1 in each clean instance: on the heap, in a static, and in a file.
fn count() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static HELD: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut held = HELD.lock().unwrap();
    held.push(u64::from(calls));
    let mut file = OpenOptions::new().append(true).create(true).open("/tmp/count").unwrap();
    file.write_all(b"x").unwrap();
    let size = file.metadata().unwrap().len();
    println!("Content-Type: text/plain\n\n{calls} {} {size}", held.len());
    // However it ends, the next one begins anew.
    if env::var("QUERY_STRING").is_ok_and(|query| query == "exit") {
        std::process::exit(0);
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let held = black_box([depth; 64]);
    if held[0] == 0 {
        return 0;
    }
    recurse(black_box(depth + 1)) + held[3]
}

fn hoard_files() {
    let mut held = Vec::new();
    let error = loop {
        match File::create(format!("/tmp/{}", held.len())) {
            Ok(file) => held.push(file),
            Err(error) => break error,
        }
    };
    println!("Content-Type: text/plain\n\n{} {:?}", held.len(), error.raw_os_error());
}

fn flood_log() {
    let line = "x".repeat(1023);
    for _ in 0..8192 {
        eprintln!("{line}");
    }
    println!("Content-Type: text/plain\n\nsaid it all");
}

/// Goes through what files can do; a line for each finding.
fn files() -> io::Result<String> {
    let mut report = Vec::new();
    fs::create_dir_all("/tmp/a/b")?;
    fs::write("/tmp/a/b/one.txt", "hello, file")?;
    let mut file = OpenOptions::new().read(true).write(true).open("/tmp/a/b/one.txt")?;
    file.seek(SeekFrom::End(-4))?;
    file.write_all(b"FILE, and more")?;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    report.push(format!("text={text} position={}", file.stream_position()?));
    file.set_len(5)?;
    report.push(format!("size={} dir={}", file.metadata()?.len(), file.metadata()?.is_dir()));
    fs::rename("/tmp/a/b/one.txt", "/tmp/a/two.txt")?;
    fs::hard_link("/tmp/a/two.txt", "/tmp/a/three.txt")?;
    let mut names: Vec<_> = fs::read_dir("/tmp/a")?.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    report.push(format!("names={names:?}"));
    report.push(format!("outside={:?}", fs::read("/../etc/passwd").map_err(|error| error.kind())));
    report.push(format!("missing={:?}", fs::read("/tmp/none").map_err(|error| error.kind())));
    report.push(format!("full dir={:?}", fs::remove_dir("/tmp/a").map_err(|error| error.kind())));
    report.push(format!("quota={:?}", fs::write("/tmp/big", vec![1u8; 20 << 20]).map_err(|error| error.raw_os_error())));
    fs::remove_file("/tmp/a/two.txt")?;
    fs::remove_file("/tmp/a/three.txt")?;
    fs::remove_dir("/tmp/a/b")?;
    fs::remove_dir("/tmp/a")?;
    report.push(format!("left={}", fs::read_dir("/tmp")?.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>().join(",")));
    Ok(report.join("\n"))
}
