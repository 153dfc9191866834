//! What guests should not do.
use crate::http::{answer, begin, write_all, Query};
use std::hint::black_box;
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{ErrorCode, Fields, IncomingRequest, OutgoingBody, ResponseOutparam};

/// Computes without end, or for `ms` milliseconds.
pub fn spin(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let limit = query.number("ms", u64::MAX / 1_000_000) * 1_000_000;
    let start = monotonic_clock::now();
    let mut state = 1u64;
    while monotonic_clock::now() - start < limit {
        for _ in 0..1_000_000 {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
    answer(out, 200, format!("{state}\n").as_bytes());
}

/// No host call, no memory access: nothing but the loop.
pub fn spin_empty(_request: IncomingRequest, _out: ResponseOutparam, _query: &Query) {
    #[allow(clippy::empty_loop)]
    loop {}
}

pub fn alloc(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let limit = query.number("bytes", u64::MAX);
    let mut held: Vec<Vec<u8>> = Vec::new();
    let mut total = 0u64;
    while total < limit {
        held.push(black_box(vec![1u8; 1 << 20]));
        total += 1 << 20;
    }
    answer(out, 200, format!("{total} bytes in {} parts\n", held.len()).as_bytes());
}

#[allow(unconditional_recursion)]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let local = black_box([depth; 16]);
    deeper(depth + 1) + local[(depth % 16) as usize]
}

pub fn recurse(_request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    answer(out, 200, format!("{}\n", deeper(0)).as_bytes());
}

#[inline(never)]
fn inner_trap() -> ! {
    std::process::abort()
}

pub fn trap(_request: IncomingRequest, _out: ResponseOutparam, _query: &Query) {
    inner_trap()
}

pub fn panic(_request: IncomingRequest, _out: ResponseOutparam, query: &Query) {
    panic!("{}", query.text("message").unwrap_or("torture was told to panic"));
}

/// `wasi:cli/exit` with ok or error; `after=head` sends the head first.
pub fn exit(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let mut held = None;
    if query.text("after") == Some("head") {
        held = Some(begin(out, 200, &[]));
    }
    black_box(&held);
    std::process::exit(query.number("code", 0) as i32);
}

pub fn no_response(_request: IncomingRequest, _out: ResponseOutparam, _query: &Query) {}

pub fn error_code(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let error = match query.text("code") {
        Some("internal") => ErrorCode::InternalError(Some("torture says so".into())),
        Some("timeout") => ErrorCode::ConnectionReadTimeout,
        Some("refused") => ErrorCode::ConnectionRefused,
        _ => ErrorCode::HttpRequestDenied,
    };
    ResponseOutparam::set(out, Err(error));
}

pub fn trap_after_head(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let body = begin(out, 200, &[("content-type", "text/plain")]);
    let stream = body.write().unwrap();
    let bytes = vec![b'x'; query.number("bytes", 10) as usize];
    let _ = write_all(&stream, &bytes);
    inner_trap()
}

/// A head and some bytes, then the body is dropped without `finish`: the answer is not whole.
pub fn drop_body(_request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let body = begin(out, 200, &[("content-type", "text/plain")]);
    let stream = body.write().unwrap();
    let _ = write_all(&stream, b"not whole");
}

/// Announces 10 bytes and writes `bytes` (5).
pub fn content_length_wrong(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let body = begin(out, 200, &[("content-length", "10")]);
    let stream = body.write().unwrap();
    let bytes = vec![b'x'; query.number("bytes", 5) as usize];
    let written = write_all(&stream, &bytes);
    drop(stream);
    let finished = OutgoingBody::finish(body, None);
    eprintln!("written {written:?}, finished {finished:?}");
}

pub fn hoard_pollables(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let count = query.number("count", u64::MAX);
    for _ in 0..count {
        std::mem::forget(monotonic_clock::subscribe_duration(3_600_000_000_000));
    }
    answer(out, 200, format!("{count} pollables\n").as_bytes());
}

pub fn hoard_fields(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let count = query.number("count", u64::MAX);
    let value = vec![b'v'; 1024];
    for _ in 0..count {
        std::mem::forget(Fields::from_list(&[("x-hoard".to_string(), value.clone())]).unwrap());
    }
    answer(out, 200, format!("{count} fields\n").as_bytes());
}
