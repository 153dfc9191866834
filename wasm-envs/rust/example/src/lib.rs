//! `GET /?name=Ann` greets, `POST` streams the body back, anything else is refused. The word of the greeting
//! comes from the environment variable GREETING; each greeting is logged on stderr.
use std::io::{self, Write};

use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Example;
wasip2::http::proxy::export!(Example);

impl wasip2::exports::http::incoming_handler::Guest for Example {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match request.method() {
            Method::Get => greet(&request, out),
            Method::Post => echo(request, out),
            _ => respond(out, 405, &[("allow", "GET, POST")], |stream| {
                stream.write_all(b"Only GET and POST are answered.\n")
            }),
        }
    }
}

fn greet(request: &IncomingRequest, out: ResponseOutparam) {
    let path = request.path_with_query().unwrap_or_default();
    let name = query_value(&path, "name").unwrap_or_else(|| "world".into());
    let greeting = std::env::var("GREETING").unwrap_or_else(|_| "Hello".into());
    eprintln!("greeting {name}");
    respond(
        out,
        200,
        &[("content-type", "text/plain; charset=utf-8")],
        |stream| stream.write_all(format!("{greeting}, {name}!\n").as_bytes()),
    );
}

/// Sends each chunk on as it comes; nothing is collected.
fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let content_type = request.headers().get("content-type").into_iter().next();
    let content_type = content_type.and_then(|value| String::from_utf8(value).ok());
    let content_type = content_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    let body = request.consume().expect("the body is taken once");
    respond(out, 200, &[("content-type", content_type)], |sink| {
        let mut source = body.stream().expect("the stream is taken once");
        io::copy(&mut source, sink).map(|_| ())
    });
}

fn respond(
    out: ResponseOutparam,
    status: u16,
    headers: &[(&str, &str)],
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) {
    let fields = Fields::new();
    for (name, value) in headers {
        // A header that the host does not take is left out; the answer is still of use.
        let _ = fields.append(name, value.as_bytes());
    }
    let response = OutgoingResponse::new(fields);
    response
        .set_status_code(status)
        .expect("the status is valid");
    let body = response.body().expect("a new response has a body");
    ResponseOutparam::set(out, Ok(response));
    let mut stream = body.write().expect("a new body can be written");
    let written = write(&mut stream).and_then(|()| Write::flush(&mut stream));
    drop(stream);
    match written {
        Ok(()) => {
            let _ = OutgoingBody::finish(body, None);
        }
        // Without finish the host cuts the connection, so that nobody takes half a body for a whole one.
        Err(error) => eprintln!("the answer was not sent: {error}"),
    }
}

/// The decoded value of a query parameter: `+` is a space, `%41` is `A`.
fn query_value(path_with_query: &str, name: &str) -> Option<String> {
    let (_, query) = path_with_query.split_once('?')?;
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, raw) = pairs.into_iter().find(|(key, _)| *key == name)?;
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match (
            first,
            hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
