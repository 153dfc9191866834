#!/bin/sh
# Builds hello.wasm in each folder given, or in template and example. Needs: rustup target add wasm32-wasip2
set -eu
here=$(dirname "$0")
[ $# -gt 0 ] || set -- "$here/template" "$here/example"
for folder in "$@"; do
  (cd "$folder" && cargo build --quiet --release --target wasm32-wasip2 --target-dir target)
  cp "$folder/target/wasm32-wasip2/release/hello.wasm" "$folder/hello.wasm"
  ls -l "$folder/hello.wasm"
done
