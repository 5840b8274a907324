package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/docker/docker/registry"
	"github.com/docker/go-connections/tlsconfig"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"registrytrust.io/reading"
)

// endpoint is one place that a runtime would try for a registry, with the HTTP client that its loader made.
type endpoint struct {
	base   string // https://host/v2
	client *http.Client
	tls    *tls.Config
}

// endpoints loads the directory of host under root as the runtime of that layout does.
// The error is the loader's own.
func endpoints(ctx context.Context, layout, root, host string, dial dialer) ([]endpoint, error) {
	if err := reading.RequireDirectory(root); err != nil {
		return nil, err
	}
	switch layout {
	case "docker":
		settings := tlsconfig.ServerDefault() // as dockerd's newTLSConfig begins
		if err := registry.ReadCertsDirectory(settings, filepath.Join(root, host)); err != nil {
			return nil, err
		}
		return oneEndpoint(host, settings, dial), nil
	case "containers":
		settings := &tls.Config{CipherSuites: tlsconfig.ClientDefault().CipherSuites} // as newDockerClient begins
		if err := tlsclientconfig.SetupCertificates(filepath.Join(root, host), settings); err != nil {
			return nil, err
		}
		return oneEndpoint(host, settings, dial), nil
	case "containerd":
		return containerdEndpoints(ctx, root, host, dial)
	}
	return nil, fmt.Errorf("unknown layout %q: docker, containers or containerd", layout)
}

func oneEndpoint(host string, settings *tls.Config, dial dialer) []endpoint {
	return []endpoint{{
		base:   "https://" + host + "/v2",
		client: &http.Client{Transport: dial.apply(&http.Transport{TLSClientConfig: settings})},
		tls:    settings,
	}}
}

func containerdEndpoints(ctx context.Context, root, host string, dial dialer) ([]endpoint, error) {
	options := config.HostOptions{
		HostDir: config.HostDirFromRoot(root),
		UpdateClient: func(client *http.Client) error {
			transport, ok := client.Transport.(*http.Transport)
			if !ok {
				return fmt.Errorf("containerd made a transport of type %T", client.Transport)
			}
			dial.apply(transport)
			return nil
		},
	}
	hosts, err := config.ConfigureHosts(ctx, options)(host)
	if err != nil {
		return nil, err
	}
	var found []endpoint
	for _, one := range hosts {
		transport, ok := one.Client.Transport.(*http.Transport)
		if !ok || one.Scheme != "https" {
			return nil, fmt.Errorf("containerd would not insist on TLS for %s://%s", one.Scheme, one.Host)
		}
		found = append(found, endpoint{base: "https://" + one.Host + one.Path, client: one.Client, tls: transport.TLSClientConfig})
	}
	if len(found) == 0 {
		return nil, errors.New("containerd found no endpoint to pull from")
	}
	return found, nil
}

// read reports what the loader loaded for a host; several endpoints are added up.
func read(ctx context.Context, wanted request) (*loaded, error) {
	found, err := endpoints(ctx, wanted.Layout, wanted.Root, wanted.Host, dialer{})
	if err != nil {
		return nil, err
	}
	settings := make([]*tls.Config, 0, len(found))
	for _, one := range found {
		settings = append(settings, one.tls)
	}
	return reading.Summarize(settings)
}
