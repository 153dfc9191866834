//! Behaviours of clocks, polling, logs, randomness and state.
use crate::http::{answer, json, Query};
use std::cell::Cell;
use wasip2::cli::environment;
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasip2::io::poll::poll as poll_list;
use wasip2::random::{insecure, insecure_seed, random as secure};

pub fn sleep(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    monotonic_clock::subscribe_duration(query.number("ms", 1000) * 1_000_000).block();
    answer(out, 200, b"slept\n");
}

/// Starts timers of 30, 10 and 20 ms (or `ms=a,b,c`) and answers their numbers in the order they fired.
pub fn poll(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let delays = query.text("ms").unwrap_or("30,10,20").split(',').filter_map(|text| text.parse::<u64>().ok());
    let mut waiting: Vec<_> =
        delays.map(|ms| monotonic_clock::subscribe_duration(ms * 1_000_000)).enumerate().collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let pollables: Vec<_> = waiting.iter().map(|(_, pollable)| pollable).collect();
        let mut ready = poll_list(&pollables);
        ready.sort_unstable();
        for at in ready.into_iter().rev() {
            order.push(waiting.remove(at as usize).0.to_string());
        }
    }
    answer(out, 200, (order.join(",") + "\n").as_bytes());
}

pub fn log(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let lines = query.number("lines", 2);
    for number in 0..lines {
        println!("stdout line {number}");
        eprintln!("stderr line {number}");
    }
    answer(out, 200, format!("{lines} lines\n").as_bytes());
}

thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });

/// Always 1 where each request has a fresh instance.
pub fn counter(_request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    CALLS.set(CALLS.get() + 1);
    answer(out, 200, format!("{}\n", CALLS.get()).as_bytes());
}

pub fn env(_request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let pairs = environment::get_environment();
    let items: Vec<String> = pairs.iter().map(|(name, value)| format!("{}:{}", json(name), json(value))).collect();
    answer(out, 200, format!("{{{}}}\n", items.join(",")).as_bytes());
}

pub fn random(_request: IncomingRequest, out: ResponseOutparam, query: &Query) {
    let bytes = secure::get_random_bytes(query.number("bytes", 16));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let seed = insecure_seed::insecure_seed();
    let (secure, insecure) = (secure::get_random_u64(), insecure::get_insecure_random_u64());
    let text = format!(
        "{{\"bytes\":\"{hex}\",\"u64\":\"{secure:x}\",\"insecure\":\"{insecure:x}\",\"seed\":\"{:x}\"}}\n",
        seed.0 ^ seed.1
    );
    answer(out, 200, text.as_bytes());
}

pub fn time(_request: IncomingRequest, out: ResponseOutparam, _query: &Query) {
    let wall = wall_clock::now();
    let text = format!(
        "{{\"seconds\":{},\"nanoseconds\":{},\"monotonic\":{},\"resolution\":{}}}\n",
        wall.seconds,
        wall.nanoseconds,
        monotonic_clock::now(),
        monotonic_clock::resolution()
    );
    answer(out, 200, text.as_bytes());
}
