package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"
)

// dialer connects to a fixed address whatever the host is called; the name is still the one that TLS verifies.
type dialer struct {
	address string // host:port or unix:path; empty: the host's own address
}

// apply makes a transport connect so, never by way of a proxy.
func (d dialer) apply(transport *http.Transport) *http.Transport {
	transport.Proxy = nil
	transport.TLSHandshakeTimeout = 10 * time.Second
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if d.address != "" {
			network, address = networkAddress(d.address)
		}
		return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
	}
	return transport
}

func networkAddress(address string) (network, place string) {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		return "unix", path
	}
	return "tcp", address
}
