#!/bin/sh
# Builds hello.wasm in each folder given, or in template and example. Needs: pip install ziglang
set -eu
here=$(dirname "$0")
[ $# -gt 0 ] || set -- "$here/template" "$here/example"
for folder in "$@"; do
  python3 -m ziglang cc -target wasm32-wasi -Oz -s -std=c17 -Wall -Wextra -Werror -o "$folder/hello.wasm" "$folder"/*.c
  chmod 644 "$folder/hello.wasm"
  ls -l "$folder/hello.wasm"
done
