//! One component with every behaviour that the platform must cope with, chosen by the request's path.
//! `GET /` lists them.
mod http;
mod misbehave;
mod system;

use http::Query;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Torture;
wasip2::http::proxy::export!(Torture);

type Behaviour = fn(IncomingRequest, ResponseOutparam, &Query);

const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("/", list),
    ("/hello", http::hello),
    ("/echo", http::echo),
    ("/echo-splice", http::echo_splice),
    ("/echo-headers", http::echo_headers),
    ("/read-all", http::read_all),
    ("/read-some", http::read_some),
    ("/status", http::status),
    ("/big", http::big),
    ("/slow-body", http::slow_body),
    ("/many-headers", http::many_headers),
    ("/trailers", http::trailers),
    ("/outbound", http::outbound),
    ("/sleep", system::sleep),
    ("/poll", system::poll),
    ("/log", system::log),
    ("/counter", system::counter),
    ("/env", system::env),
    ("/random", system::random),
    ("/time", system::time),
    ("/spin", misbehave::spin),
    ("/spin-empty", misbehave::spin_empty),
    ("/alloc", misbehave::alloc),
    ("/recurse", misbehave::recurse),
    ("/trap", misbehave::trap),
    ("/panic", misbehave::panic),
    ("/exit", misbehave::exit),
    ("/no-response", misbehave::no_response),
    ("/error-code", misbehave::error_code),
    ("/trap-after-head", misbehave::trap_after_head),
    ("/drop-body", misbehave::drop_body),
    ("/content-length-wrong", misbehave::content_length_wrong),
    ("/hoard-pollables", misbehave::hoard_pollables),
    ("/hoard-fields", misbehave::hoard_fields),
];

fn list(_request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let names: Vec<&str> = BEHAVIOURS.iter().map(|(name, _)| *name).collect();
    http::answer(out, 200, (names.join("\n") + "\n").as_bytes());
}

impl Guest for Torture {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path_with_query = request.path_with_query().unwrap_or_default();
        let (path, query) = path_with_query.split_once('?').unwrap_or((&path_with_query, ""));
        let query = Query::parse(query);
        match BEHAVIOURS.iter().find(|(name, _)| *name == path) {
            Some((_, behaviour)) => behaviour(request, out, &query),
            None => http::answer(out, 404, format!("no behaviour {path}\n").as_bytes()),
        }
    }
}
