//! Behaviours of requests, answers and bodies.
use wasip2::cli::environment;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Query {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        };
        Query(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn number(&self, name: &str, fallback: u64) -> u64 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or(fallback)
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match (bytes[at], hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Sends a head and gives back the body to write.
pub fn begin(out: ResponseOutparam, status: u16, headers: &[(&str, &str)]) -> OutgoingBody {
    let list: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let response = OutgoingResponse::new(Fields::from_list(&list).unwrap());
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    body
}

/// A whole answer in one go.
pub fn answer(out: ResponseOutparam, status: u16, bytes: &[u8]) {
    let body = begin(out, status, &[("content-type", "text/plain")]);
    let stream = body.write().unwrap();
    let _ = write_all(&stream, bytes);
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

/// Writes by `check-write`, `write` and `flush`, waiting on the stream's pollable: what real guests do.
pub fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = stream.check_write()? as usize;
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    stream.blocking_flush()
}

/// Reads to the end, giving each chunk to `each`.
fn read_each(stream: &InputStream, mut each: impl FnMut(&[u8]) -> Result<(), StreamError>) -> Result<(), StreamError> {
    loop {
        match stream.blocking_read(65536) {
            Ok(chunk) => each(&chunk)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

pub fn hello(_request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    answer(out, 200, b"Hello, world!\n");
}

pub fn echo(request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let body = begin(out, 200, &[("content-type", "application/octet-stream")]);
    let output = body.write().unwrap();
    let echoed = read_each(&input, |chunk| write_all(&output, chunk));
    drop((input, output));
    // A body whose sender went away must not look complete: it is dropped, not finished.
    if echoed.is_ok() {
        OutgoingBody::finish(body, None).unwrap();
    }
}

pub fn echo_splice(request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let body = begin(out, 200, &[]);
    let output = body.write().unwrap();
    let closed = loop {
        match output.blocking_splice(&input, 65536) {
            Ok(_) => {}
            Err(StreamError::Closed) => break true,
            Err(_) => break false,
        }
    };
    drop((input, output));
    if closed {
        OutgoingBody::finish(body, None).unwrap();
    }
}

pub fn read_all(request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let (mut length, mut sum, mut chunks) = (0u64, 0xcbf2_9ce4_8422_2325u64, 0u64);
    let read = read_each(&input, |chunk| {
        length += chunk.len() as u64;
        chunks += 1;
        for byte in chunk {
            sum = (sum ^ *byte as u64).wrapping_mul(0x100_0000_01b3);
        }
        Ok(())
    });
    match read {
        Ok(()) => answer(out, 200, format!("{{\"length\":{length},\"fnv1a64\":\"{sum:016x}\"}}\n").as_bytes()),
        Err(error) => answer(out, 400, format!("{error:?} after {length} bytes in {chunks} chunks\n").as_bytes()),
    }
}

/// Reads one chunk and answers without the rest.
pub fn read_some(request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let first = input.blocking_read(1024).map(|chunk| chunk.len());
    answer(out, 200, format!("{first:?}\n").as_bytes());
}

pub fn echo_headers(request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let pairs = |list: &[(String, String)]| {
        let items: Vec<String> = list.iter().map(|(name, value)| format!("[{},{}]", json(name), json(value))).collect();
        format!("[{}]", items.join(","))
    };
    let entries = request.headers().entries().into_iter();
    let headers: Vec<_> = entries.map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
    let arguments: Vec<String> = environment::get_arguments().iter().map(|argument| json(argument)).collect();
    let method = match request.method() {
        Method::Other(name) => name,
        known => format!("{known:?}").trim_start_matches("Method::").to_uppercase(),
    };
    let scheme = match request.scheme() {
        Some(Scheme::Http) => "http".to_string(),
        Some(Scheme::Https) => "https".to_string(),
        Some(Scheme::Other(name)) => name,
        None => String::new(),
    };
    let text = format!(
        "{{\"method\":{},\"path\":{},\"scheme\":{},\"authority\":{},\"headers\":{},\"env\":{},\"args\":[{}]}}\n",
        json(&method),
        json(&request.path_with_query().unwrap_or_default()),
        json(&scheme),
        json(&request.authority().unwrap_or_default()),
        pairs(&headers),
        pairs(&environment::get_environment()),
        arguments.join(","),
    );
    answer(out, 200, text.as_bytes());
}

pub fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if (control as u32) < 32 => out += &format!("\\u{:04x}", control as u32),
            other => out.push(other),
        }
    }
    out + "\""
}

pub fn status(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let code = query.number("code", 200) as u16;
    let body = begin(out, code, &[("x-torture", "status")]);
    OutgoingBody::finish(body, None).unwrap();
}

pub fn big(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let mut left = query.number("bytes", 1 << 20);
    let body = begin(out, 200, &[("content-type", "application/octet-stream")]);
    let stream = body.write().unwrap();
    let chunk = vec![b'x'; 65536];
    while left > 0 {
        let now = left.min(chunk.len() as u64);
        if write_all(&stream, &chunk[..now as usize]).is_err() {
            return;
        }
        left -= now;
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

pub fn slow_body(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let pause = query.number("ms", 50) * 1_000_000;
    let body = begin(out, 200, &[("content-type", "text/event-stream"), ("cache-control", "no-store")]);
    let stream = body.write().unwrap();
    for number in 0..query.number("chunks", 5) {
        if number > 0 {
            subscribe_duration(pause).block();
        }
        if write_all(&stream, format!("data: {number}\n\n").as_bytes()).is_err() {
            return;
        }
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

pub fn many_headers(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let value = "v".repeat(query.number("size", 16) as usize);
    let names: Vec<String> = (0..query.number("count", 100)).map(|number| format!("x-header-{number}")).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    let body = begin(out, 200, &headers);
    OutgoingBody::finish(body, None).unwrap();
}

/// Answers the request's trailers, and sends two of its own.
pub fn trailers(request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let _ = read_each(&input, |_| Ok(()));
    drop(input);
    let future = IncomingBody::finish(incoming);
    future.subscribe().block();
    let received = match future.get() {
        Some(Ok(Ok(Some(fields)))) => fields.entries(),
        _ => Vec::new(),
    };
    let body = begin(out, 200, &[("trailer", "x-first, x-second")]);
    let stream = body.write().unwrap();
    for (name, value) in received {
        let _ = write_all(&stream, format!("{name}: {}\n", String::from_utf8_lossy(&value)).as_bytes());
    }
    drop(stream);
    let own = [("x-first".to_string(), b"1".to_vec()), ("x-second".to_string(), b"2".to_vec())];
    OutgoingBody::finish(body, Some(Fields::from_list(&own).unwrap())).unwrap();
}

fn fetch(url: &str) -> Result<IncomingResponse, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme refused")?;
    request.set_authority(Some(authority)).map_err(|()| "authority refused")?;
    request.set_path_with_query(Some(path)).map_err(|()| "path refused")?;
    let body = request.body().map_err(|()| "no body")?;
    let future = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    OutgoingBody::finish(body, None).map_err(|error| format!("{error:?}"))?;
    future.subscribe().block();
    match future.get() {
        Some(Ok(answer)) => answer.map_err(|error| format!("{error:?}")),
        other => Err(format!("future gave {}", if other.is_none() { "nothing" } else { "an error" })),
    }
}

/// Fetches `url` and streams the answer back; the error code as text with status 502 where it fails.
pub fn outbound(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    match fetch(query.text("url").unwrap_or_default()) {
        Err(error) => answer(out, 502, (error + "\n").as_bytes()),
        Ok(response) => {
            let incoming = response.consume().unwrap();
            let input = incoming.stream().unwrap();
            let status = response.status().to_string();
            let body = begin(out, 200, &[("x-outbound-status", &status)]);
            let output = body.write().unwrap();
            let copied = read_each(&input, |chunk| write_all(&output, chunk));
            drop((input, output));
            if copied.is_ok() {
                OutgoingBody::finish(body, None).unwrap();
            }
        }
    }
}
