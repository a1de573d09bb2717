//go:build tools

// Package tools names what is built from published modules, so that `go mod tidy` keeps what it needs.
package tools

import _ "go.etcd.io/etcd/server/v3"
