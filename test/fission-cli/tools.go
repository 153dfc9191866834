//go:build tools

// Package tools names the program that build.sh builds, so that go.mod and go.sum pin it and all that it imports.
package tools

import _ "github.com/fission/fission/cmd/fission-cli"
