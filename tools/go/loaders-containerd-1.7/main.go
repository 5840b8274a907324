// Command loaders reads certs.d directories with the code of containerd 1.7, in the serve mode of the loaders program.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"

	"github.com/containerd/containerd/remotes/docker/config"
	"github.com/containerd/log"
	"registrytrust.io/reading"
)

func main() {
	log.L.Logger.SetOutput(io.Discard)
	reading.Serve("containerd", func(root, host string) ([]*tls.Config, error) {
		options := config.HostOptions{HostDir: config.HostDirFromRoot(root)}
		hosts, err := config.ConfigureHosts(context.Background(), options)(host)
		if err != nil {
			return nil, err
		}
		var settings []*tls.Config
		for _, one := range hosts {
			transport, ok := one.Client.Transport.(*http.Transport)
			if !ok || one.Scheme != "https" {
				return nil, fmt.Errorf("containerd would not insist on TLS for %s://%s", one.Scheme, one.Host)
			}
			settings = append(settings, transport.TLSClientConfig)
		}
		return settings, nil
	})
}
