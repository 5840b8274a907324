//go:build !containerd1 && !containerd20

package main

import (
	"context"
	"iter"
	"slices"

	"github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/plugin"
)

// load reads the files, each moved to the newest format by itself, as the server does from containerd 2.3 on.
func load(ctx context.Context, path string, loaded *config.Config) error {
	return config.LoadConfigWithPlugins(ctx, path, func() iter.Seq[plugin.Registration] {
		return slices.Values(everything)
	}, loaded)
}
