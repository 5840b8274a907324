//go:build !containerd1

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/cmd/containerd/command"
	"github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/containerd/v2/version"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
)

var (
	everything = registry.Graph(func(*plugin.Registration) bool { return false })
	images     = registration(string(plugins.CRIServicePlugin) + ".images")
	defaults   = reflect.ValueOf(images.Config).Elem().Interface()
	services   = plugin.NewPluginSet()
)

func init() {
	warnings := registration(string(plugins.WarningPlugin) + "." + plugins.DeprecationsPlugin)
	database := plugin.Registration{
		Type:   plugins.MetadataPlugin,
		ID:     "bolt",
		InitFn: func(*plugin.InitContext) (interface{}, error) { return metadata.NewDB(nil, nil, nil), nil },
	}
	for _, one := range []plugin.Registration{warnings, database} {
		if err := services.Add(one.Init(plugin.NewContext(context.Background(), services, nil))); err != nil {
			panic(err)
		}
	}
}

func registration(name string) plugin.Registration {
	place := slices.IndexFunc(everything, func(one plugin.Registration) bool { return one.URI() == name })
	return everything[place]
}

func run() {
	var err error
	switch app := any(command.App()).(type) {
	case interface{ Run(args []string) error }: // up to 2.3
		err = app.Run(os.Args)
	case interface {
		Run(ctx context.Context, args []string) error
	}:
		err = app.Run(context.Background(), os.Args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "containerd: %s\n", err)
		os.Exit(1)
	}
}

// ask does what cmd/containerd does with the files, and then lets the plugin for images begin its own start: that fails
// without the services that it asks for later, but by then it has judged its settings and completed them.
func ask(ctx context.Context, path string) (answer Answer) {
	defer func() {
		if problem := recover(); problem != nil {
			answer = Answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	loaded := &config.Config{Version: version.ConfigVersion}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		if err := load(ctx, path, loaded); err != nil {
			return Answer{Error: err.Error()}
		}
	}
	answer.Disabled = slices.ContainsFunc(loaded.DisabledPlugins, func(name string) bool {
		return name == images.URI() || name == string(plugins.GRPCPlugin)+".cri"
	})
	settings := reflect.ValueOf(images.Config).Elem()
	settings.Set(reflect.ValueOf(defaults))
	settings.FieldByName("PinnedImages").Set(reflect.MakeMap(settings.FieldByName("PinnedImages").Type()))
	if _, err := loaded.Decode(ctx, images.URI(), images.Config); err != nil {
		return Answer{Error: err.Error()}
	}
	started := images.Init(plugin.NewContext(ctx, services, map[string]string{}))
	if err := started.Err(); err != nil && strings.HasPrefix(err.Error(), "invalid cri image config") {
		answer.Refused = err.Error()
	}
	found := settings.FieldByName("Registry")
	answer.ConfigPath = found.FieldByName("ConfigPath").String()
	answer.Mirrors = found.FieldByName("Mirrors").Len() > 0
	local := settings.FieldByName("UseLocalImagePull")
	answer.LocalPull = !local.IsValid() || local.Bool()
	return answer
}
