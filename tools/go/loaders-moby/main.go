// Command loaders reads certs.d directories with the code of moby's current dockerd, in the serve mode of the loaders
// program. That code reads one fixed root: the one of a rootless daemon, which follows from its environment.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/containerd/log"
	"github.com/moby/moby/v2/daemon/pkg/registry"
	"registrytrust.io/reading"
)

func main() {
	log.L.Logger.SetOutput(io.Discard)
	// dockerd asks DNS whether the registry is on this machine, where it would not verify; nothing here leaves it.
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no DNS here")
		},
	}
	home, err := os.MkdirTemp("", "registry-trust-loaders-")
	if err != nil {
		fail(err)
	}
	defer os.RemoveAll(home)
	folder := filepath.Join(home, "docker")
	service, err := registry.NewService(registry.ServiceOptions{})
	if err := errors.Join(err, os.Mkdir(folder, 0o700), os.Setenv("ROOTLESSKIT_STATE_DIR", home), os.Setenv("XDG_CONFIG_HOME", home)); err != nil {
		fail(err)
	}
	link := filepath.Join(folder, "certs.d")
	if registry.CertsDir() != link {
		fail(fmt.Errorf("dockerd would read %s instead of %s", registry.CertsDir(), link))
	}
	at := ""
	reading.Serve("docker", func(root, host string) ([]*tls.Config, error) {
		if at != root {
			if err := os.Remove(link); err != nil && !os.IsNotExist(err) {
				return nil, err
			}
			if err := os.Symlink(root, link); err != nil {
				return nil, err
			}
			at = root
		}
		endpoints, err := service.LookupPullEndpoints(host)
		if err != nil {
			return nil, err
		}
		var settings []*tls.Config
		for _, one := range endpoints {
			settings = append(settings, one.TLSConfig)
		}
		return settings, nil
	})
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "loaders-moby: %v\n", err)
	os.Exit(2)
}
