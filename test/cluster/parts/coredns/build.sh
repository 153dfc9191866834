#!/bin/bash
# CoreDNS with the three plugins that the cluster needs; shares its client-go with the kubernetes part's build.
set -euo pipefail
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/coredns" .
