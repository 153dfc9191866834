#!/bin/bash
# The programs of a Kubernetes node and control plane, and kubectl. go.mod requires the staging modules in their
# published versions in place of the in-tree ones; go.sum checks every one of them.
set -euo pipefail
V=1.36.3
C=k8s.io/kubernetes/cmd
X=k8s.io/component-base/version
P=("$C/kube-apiserver" "$C/kube-controller-manager" "$C/kube-scheduler" "$C/kubelet" "$C/kube-proxy" "$C/kubectl")
{ printf '//go:build tools\npackage tools\nimport (\n'; printf '\t_ "%s"\n' "${P[@]}"; echo ')'; } > tools.go
CGO_ENABLED=0 go build -trimpath -o "$OUT/" \
  -ldflags "-s -w -X $X.gitVersion=v$V -X $X.gitMajor=1 -X $X.gitMinor=36" "${P[@]}"
