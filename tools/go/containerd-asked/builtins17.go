//go:build containerd1 && !containerd16

package main

import _ "github.com/containerd/containerd/cmd/containerd/builtins"
