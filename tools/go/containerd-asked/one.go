//go:build containerd1

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containerd/containerd/cmd/containerd/command"
	cri "github.com/containerd/containerd/pkg/cri/config"
	"github.com/containerd/containerd/plugin"
	"github.com/containerd/containerd/services/server/config"
)

func run() {
	if err := command.App().Run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "containerd: %s\n", err)
		os.Exit(1)
	}
}

// ask does what cmd/containerd/command and services/server do with the files until the CRI plugin has its settings.
func ask(ctx context.Context, path string) (answer Answer) {
	defer func() {
		if problem := recover(); problem != nil {
			answer = Answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	loaded := &config.Config{Version: 1}
	if err := config.LoadConfig(path, loaded); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Answer{Error: err.Error()}
	} else if err != nil && !missing(path) {
		return Answer{Error: err.Error()}
	}
	settings := cri.DefaultConfig()
	registration := &plugin.Registration{Type: plugin.GRPCPlugin, ID: "cri", Config: &settings}
	name := registration.URI()
	if loaded.GetVersion() == 1 {
		name = registration.ID
	}
	answer.Disabled = slices.Contains(loaded.DisabledPlugins, name)
	if _, err := loaded.Decode(registration); err != nil {
		return Answer{Error: err.Error()}
	}
	if _, err := cri.ValidatePluginConfig(ctx, &settings); err != nil {
		answer.Refused = err.Error()
	}
	answer.ConfigPath = settings.Registry.ConfigPath
	answer.Mirrors = len(settings.Registry.Mirrors) > 0
	answer.LocalPull = true
	return answer
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist) && !strings.HasSuffix(path, "/")
}
