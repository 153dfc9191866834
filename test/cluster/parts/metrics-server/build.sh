#!/bin/bash
# metrics-server, for HPA on CPU and `kubectl top`; its Kubernetes modules are those of the kubernetes part.
set -euo pipefail
version=$(sed -n 's#^.*sigs.k8s.io/metrics-server \(v[0-9.]*\).*#\1#p' go.mod)
CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -o "$OUT/metrics-server" \
  -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" sigs.k8s.io/metrics-server/cmd/metrics-server
