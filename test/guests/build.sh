#!/bin/sh
# Builds every guest into built/. Needs cargo with the targets wasm32-wasip2 and wasm32-wasip1
# (`rustup target add wasm32-wasip2 wasm32-wasip1`) and the repository's node_modules (for the .wat files).
set -eu
cd "$(dirname "$0")"
mkdir -p built
cargo build --quiet --release --target wasm32-wasip2 -p guest-startup --features seed
cp target/wasm32-wasip2/release/startup.wasm built/startup-seed.wasm
cargo build --quiet --release --target wasm32-wasip2 -p guest-torture -p guest-hello -p guest-files -p guest-startup
cargo build --quiet --release --target wasm32-wasip1 -p guest-cgi -p guest-torture
cp target/wasm32-wasip2/release/torture.wasm target/wasm32-wasip2/release/hello.wasm \
  target/wasm32-wasip2/release/files.wasm target/wasm32-wasip2/release/startup.wasm \
  target/wasm32-wasip1/release/cgi.wasm built/
chmod 644 built/*.wasm
../../node_modules/.bin/node build-wat.ts
../../node_modules/.bin/node build-adapted.ts target/wasm32-wasip1/release/torture.wasm built/torture-adapted.wasm
ls -l built
