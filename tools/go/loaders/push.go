package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

func pushFromArguments(arguments []string) result {
	flags := flag.NewFlagSet("push", flag.ExitOnError)
	var text, ca, certificate, key, dial string
	var wanted contents
	flags.StringVar(&ca, "ca", "", "the registry's CA; no other root is trusted")
	flags.StringVar(&certificate, "cert", "", "client certificate")
	flags.StringVar(&key, "key", "", "its private key")
	flags.StringVar(&dial, "dial", "", "connect here instead of at the host's own address")
	wanted.flags(flags)
	parseOne(flags, arguments, &text)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	outcome := result{}
	settings, err := pushSettings(ca, certificate, key)
	if err == nil {
		outcome.pulled, err = push(ctx, text, settings, dialer{dial}, &wanted)
	}
	outcome.OK = err == nil
	if err != nil {
		outcome.Error = err.Error()
	}
	outcome.MS = milliseconds(time.Since(begun))
	return outcome
}

func pushSettings(ca, certificate, key string) (*tls.Config, error) {
	roots, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{RootCAs: x509.NewCertPool()}
	if !settings.RootCAs.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("no certificate in %s", ca)
	}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

func push(ctx context.Context, text string, settings *tls.Config, dial dialer, wanted *contents) (*pulled, error) {
	name, err := parseReference(text)
	if err != nil {
		return nil, err
	}
	made, err := wanted.build()
	if err != nil {
		return nil, err
	}
	registry := oneEndpoint(name.host, settings, dial)[0]
	defer registry.client.CloseIdleConnections()
	outcome := &pulled{Digest: made.manifest.Digest.String()}
	for _, blob := range []imagespec.Descriptor{made.layer, made.config} {
		if err := registry.upload(ctx, name.repository, blob, made.data[blob.Digest]); err != nil {
			return nil, err
		}
		outcome.Blobs++
		outcome.Bytes += blob.Size
	}
	place := registry.base + "/" + name.repository + "/manifests/" + name.version
	return outcome, registry.send(ctx, http.MethodPut, place, made.manifest.MediaType, made.data[made.manifest.Digest], nil)
}

// upload sends a blob in the distribution API's two steps: ask for a place, put everything there.
func (e endpoint) upload(ctx context.Context, repository string, blob imagespec.Descriptor, body []byte) error {
	var place *url.URL
	err := e.send(ctx, http.MethodPost, e.base+"/"+repository+"/blobs/uploads/", "", nil, func(response *http.Response) (err error) {
		place, err = response.Location()
		return err
	})
	if err != nil {
		return err
	}
	query := place.Query()
	query.Set("digest", blob.Digest.String())
	place.RawQuery = query.Encode()
	return e.send(ctx, http.MethodPut, place.String(), "application/octet-stream", body, nil)
}

func (e endpoint) send(ctx context.Context, method, place, mediaType string, body []byte, then func(*http.Response) error) error {
	wanted, err := http.NewRequestWithContext(ctx, method, place, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if mediaType != "" {
		wanted.Header.Set("Content-Type", mediaType)
	}
	response, err := e.client.Do(wanted)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return statusError(wanted, response)
	}
	if then != nil {
		return then(response)
	}
	return nil
}
