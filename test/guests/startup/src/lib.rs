//! A component that works before its first request: its initialiser fills a table of 1 MiB. The answer
//! is the table's sum, how often the initialiser ran, and a hash seed that must be another in each request.
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

const WORDS: usize = 256 * 1024;
const ROUNDS: u32 = 40;

static TABLE: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];
static RUNS: AtomicU32 = AtomicU32::new(0);

/// What C's and Go's reactors have; wit-component has it called as the component is instantiated.
#[export_name = "_initialize"]
extern "C" fn initialize() {
    let mut state = 0x9e37_79b9_u32;
    for _ in 0..ROUNDS {
        for word in &TABLE {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            word.store(state, Ordering::Relaxed);
        }
    }
    RUNS.fetch_add(1, Ordering::Relaxed);
    // The thread's hash keys are made with the first of these, and kept.
    #[cfg(feature = "seed")]
    std::hint::black_box(RandomState::new());
}

struct Startup;
wasip2::http::proxy::export!(Startup);

impl Guest for Startup {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let sum = TABLE.iter().fold(0u32, |sum, word| {
            sum.wrapping_add(word.load(Ordering::Relaxed))
        });
        let seed = RandomState::new().build_hasher().finish();
        let text = format!("{sum} {} {seed}\n", RUNS.load(Ordering::Relaxed));
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().unwrap();
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().unwrap();
        stream.blocking_write_and_flush(text.as_bytes()).unwrap();
        drop(stream);
        OutgoingBody::finish(body, None).unwrap();
    }
}
