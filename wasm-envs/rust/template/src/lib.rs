use std::io::Write;

use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Hello;
wasip2::http::proxy::export!(Hello);

impl wasip2::exports::http::incoming_handler::Guest for Hello {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("a new response has a body");
        ResponseOutparam::set(out, Ok(response));
        let mut stream = body.write().expect("a new body can be written");
        // An error here means that the client has gone: there is nobody left to tell.
        let _ = stream
            .write_all(b"Hello, world!\n")
            .and_then(|()| Write::flush(&mut stream));
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
