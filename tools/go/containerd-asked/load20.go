//go:build containerd20

package main

import (
	"context"

	"github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/containerd/v2/version"
)

// load reads the files, and then moves what all of them came to, as the server does at its start up to containerd 2.2.
func load(ctx context.Context, path string, loaded *config.Config) error {
	if err := config.LoadConfig(ctx, path, loaded); err != nil {
		return err
	}
	before := loaded.Version
	if before >= version.ConfigVersion {
		return nil
	}
	if err := loaded.MigrateConfig(ctx); err != nil {
		return err
	}
	for at := before; at < version.ConfigVersion; at++ {
		for _, one := range everything {
			if one.ConfigMigration == nil {
				continue
			}
			if err := one.ConfigMigration(ctx, at, loaded.Plugins); err != nil {
				return err
			}
		}
	}
	return nil
}
