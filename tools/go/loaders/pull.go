package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	manifestLimit    = 4 << 20
	dockerManifest   = "application/vnd.docker.distribution.manifest.v2+json"
	dockerManifests  = "application/vnd.docker.distribution.manifest.list.v2+json"
	acceptedManifest = imagespec.MediaTypeImageManifest + ", " + imagespec.MediaTypeImageIndex + ", " + dockerManifest + ", " + dockerManifests
)

func pullWithTimeout(ctx context.Context, wanted request) (*pulled, error) {
	limit := 30 * time.Second
	if wanted.TimeoutMS > 0 {
		limit = time.Duration(wanted.TimeoutMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return pull(ctx, wanted)
}

// pull fetches manifest, config and every layer, and verifies each digest. Like containerd, it goes on to the next endpoint after a failure.
func pull(ctx context.Context, wanted request) (*pulled, error) {
	image, err := parseReference(wanted.Reference)
	if err != nil {
		return nil, err
	}
	if err := refuseInsecure(image.host); err != nil {
		return nil, err
	}
	found, err := endpoints(ctx, wanted.Layout, wanted.Root, image.host, dialer{wanted.Dial})
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, one := range found {
		if one.tls != nil && one.tls.InsecureSkipVerify {
			return nil, fmt.Errorf("the files under %s switch verification off for %s", wanted.Root, one.base)
		}
		defer one.client.CloseIdleConnections()
		outcome, err := one.pull(ctx, image)
		if err == nil {
			return outcome, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (e endpoint) pull(ctx context.Context, image reference) (*pulled, error) {
	outcome := &pulled{}
	manifest, err := e.manifest(ctx, image, outcome)
	if err != nil {
		return nil, err
	}
	for _, blob := range append([]imagespec.Descriptor{manifest.Config}, manifest.Layers...) {
		if err := e.blob(ctx, image.repository, blob, outcome); err != nil {
			return nil, err
		}
	}
	return outcome, nil
}

func (e endpoint) manifest(ctx context.Context, image reference, outcome *pulled) (*imagespec.Manifest, error) {
	response, err := e.get(ctx, "/"+image.repository+"/manifests/"+image.version)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, manifestLimit))
	if err != nil {
		return nil, err
	}
	expected := response.Header.Get("Docker-Content-Digest")
	if strings.Contains(image.version, ":") {
		expected = image.version
	}
	sum := sha256.Sum256(body)
	if err := sameDigest("manifest", expected, sum[:]); err != nil {
		return nil, err
	}
	outcome.Digest = expected
	outcome.Bytes += int64(len(body))
	switch response.Header.Get("Content-Type") {
	case imagespec.MediaTypeImageIndex, dockerManifests:
		var index imagespec.Index
		if err := json.Unmarshal(body, &index); err != nil {
			return nil, err
		}
		if len(index.Manifests) == 0 {
			return nil, errors.New("the index names no manifest")
		}
		image.version = index.Manifests[0].Digest.String()
		return e.manifest(ctx, image, outcome)
	}
	var manifest imagespec.Manifest
	return &manifest, json.Unmarshal(body, &manifest)
}

func (e endpoint) blob(ctx context.Context, repository string, blob imagespec.Descriptor, outcome *pulled) error {
	response, err := e.get(ctx, "/"+repository+"/blobs/"+blob.Digest.String())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var sum hash.Hash = sha256.New()
	length, err := io.Copy(sum, response.Body)
	if err != nil {
		return err
	}
	outcome.Blobs++
	outcome.Bytes += length
	return sameDigest("blob", blob.Digest.String(), sum.Sum(nil))
}

func (e endpoint) get(ctx context.Context, path string) (*http.Response, error) {
	wanted, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+path, nil)
	if err != nil {
		return nil, err
	}
	wanted.Header.Set("Accept", acceptedManifest)
	response, err := e.client.Do(wanted)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, statusError(wanted, response)
	}
	return response, nil
}

func statusError(wanted *http.Request, response *http.Response) error {
	words, _ := io.ReadAll(io.LimitReader(response.Body, 300)) // only to explain the status that is the error
	return fmt.Errorf("%s %s: %s: %s", wanted.Method, wanted.URL, response.Status, strings.TrimSpace(string(words)))
}

func sameDigest(what, expected string, sum []byte) error {
	if actual := "sha256:" + hex.EncodeToString(sum); actual != expected {
		return fmt.Errorf("%s has digest %s, expected %q", what, actual, expected)
	}
	return nil
}
