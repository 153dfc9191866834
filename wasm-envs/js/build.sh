#!/bin/sh
# Builds hello.wasm in each folder given, or in template and example. Needs: npm ci in this repository, or
# npm install @bytecodealliance/componentize-js@0.22.0 @bytecodealliance/jco@1.35.0 here; Node 22.15 or later
set -eu
cd "$(dirname "$0")"
node=node
[ -x ../../node_modules/.bin/node ] && node=../../node_modules/.bin/node
exec "$node" build.mjs "$@"
