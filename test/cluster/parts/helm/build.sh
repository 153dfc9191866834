#!/bin/bash
# Helm 3, the newest that goes with the Kubernetes modules of the kubernetes part.
set -euo pipefail
version=$(sed -n 's#^.*helm.sh/helm/v3 \(v[0-9.]*\).*#\1#p' go.mod)
CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -o "$OUT/helm" \
  -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$version" helm.sh/helm/v3/cmd/helm
