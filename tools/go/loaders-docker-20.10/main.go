// Command loaders reads certs.d directories with the code of Docker 20.10, in the serve mode of the loaders program.
package main

import (
	"crypto/tls"
	"io"
	"path/filepath"

	"github.com/docker/docker/registry"
	"github.com/docker/go-connections/tlsconfig"
	"github.com/sirupsen/logrus"
	"registrytrust.io/reading"
)

func main() {
	logrus.SetOutput(io.Discard)
	reading.Serve("docker", func(root, host string) ([]*tls.Config, error) {
		settings := tlsconfig.ServerDefault() // as dockerd's newTLSConfig begins
		if err := registry.ReadCertsDirectory(settings, filepath.Join(root, host)); err != nil {
			return nil, err
		}
		return []*tls.Config{settings}, nil
	})
}
