//! A WASI preview 1 command that speaks CGI; what it does is chosen by `PATH_INFO`.
use std::env;
use std::hint::black_box;
use std::io::{self, Read, Write};

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
