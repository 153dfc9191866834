#!/bin/sh
# Builds hello.wasm in each folder given, or in template and example. Needs: `npm ci` in this repository, or
# `npm install` in a copy of this folder; Node 22.15 or later
set -eu
here=$(dirname "$0")
[ $# -gt 0 ] || set -- "$here/template" "$here/example"
node=node
[ -x "$here/../../node_modules/.bin/node" ] && node="$here/../../node_modules/.bin/node"
exec "$node" "$here/build.mjs" "$@"
