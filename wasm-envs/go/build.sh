#!/bin/sh
# Builds hello.wasm in each folder given, or in template and example. Needs: Go 1.24 or later
set -eu
here=$(dirname "$0")
[ $# -gt 0 ] || set -- "$here/template" "$here/example"
for folder in "$@"; do
  (cd "$folder" && GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags='-s -w' -o hello.wasm .)
  chmod 644 "$folder/hello.wasm"
  ls -l "$folder/hello.wasm"
done
