#!/usr/bin/env bash
# Builds Fission's own CLI from its Go module, at the version that go.mod names, and prints where the program lies.
# What was built is kept outside the repository, by what go.mod and go.sum say, so that only the first call is long.
#   --if-built  builds nothing: prints the path if the program is there, else nothing
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
option=${1:-}
[ "$option" = --if-built ] || command -v go >/dev/null || { echo "no go in PATH: Fission's CLI is built from its Go module" >&2; exit 1; }

key=$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-16)
cache=${FISSIUM_TOOLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fissium-tools}
program=$cache/fission-cli-$key/fission
if [ ! -x "$program" ]; then
  [ "$option" != --if-built ] || exit 0
  mkdir -p "$(dirname "$program")"
  version=$(sed -n 's#^.*github.com/fission/fission \(v[0-9.]*\).*#\1#p' "$here/go.mod")
  # Beside its last place, so that the rename is atomic whoever else builds at the same time.
  unfinished=$program.$$
  trap 'rm -f "$unfinished"' EXIT
  (cd "$here" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath \
    -ldflags "-s -w -X github.com/fission/fission/pkg/info.Version=$version" \
    -o "$unfinished" github.com/fission/fission/cmd/fission-cli) >&2
  mv "$unfinished" "$program"
fi
echo "$program"
