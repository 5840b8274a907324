package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// contents says what a generated image holds. The same contents give the same digests; another label gives others.
type contents struct {
	files      []string // path in the image = file here
	entrypoint string
	label      string
	size       int64 // of a file of noise
}

// image is a whole image in memory: manifest, config and one layer.
type image struct {
	manifest imagespec.Descriptor
	config   imagespec.Descriptor
	layer    imagespec.Descriptor
	data     map[digest.Digest][]byte
}

func (c *contents) flags(flags *flag.FlagSet) {
	flags.Func("add", "path in the image = file here; may be repeated", func(pair string) error {
		c.files = append(c.files, pair)
		return nil
	})
	flags.StringVar(&c.entrypoint, "entrypoint", "", "what the image runs")
	flags.StringVar(&c.label, "label", "", "any text; another text makes another image")
	flags.Int64Var(&c.size, "size", 0, "bytes of noise in the layer")
}

func (c *contents) build() (*image, error) {
	plain, err := c.tarball()
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	packer := gzip.NewWriter(&packed)
	if _, err := packer.Write(plain); err != nil {
		return nil, err
	}
	if err := packer.Close(); err != nil {
		return nil, err
	}
	made := &image{data: map[digest.Digest][]byte{}}
	made.layer = made.keep(imagespec.MediaTypeImageLayerGzip, packed.Bytes())
	settings := imagespec.Image{
		Platform: imagespec.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config:   imagespec.ImageConfig{Labels: map[string]string{"io.registrytrust.test": c.label}},
		RootFS:   imagespec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(plain)}},
	}
	if c.entrypoint != "" {
		settings.Config.Entrypoint = []string{c.entrypoint}
	}
	if made.config, err = made.keepJSON(imagespec.MediaTypeImageConfig, settings); err != nil {
		return nil, err
	}
	manifest := imagespec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: imagespec.MediaTypeImageManifest,
		Config:    made.config,
		Layers:    []imagespec.Descriptor{made.layer},
	}
	made.manifest, err = made.keepJSON(imagespec.MediaTypeImageManifest, manifest)
	return made, err
}

func (c *contents) tarball() ([]byte, error) {
	var plain bytes.Buffer
	writer := tar.NewWriter(&plain)
	add := func(name string, mode int64, body []byte) error {
		if err := writer.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := writer.Write(body)
		return err
	}
	for _, pair := range c.files {
		name, file, found := strings.Cut(pair, "=")
		if !found {
			return nil, fmt.Errorf("--add takes IN_IMAGE=FILE, not %q", pair)
		}
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := add(strings.TrimPrefix(name, "/"), 0o755, body); err != nil {
			return nil, err
		}
	}
	noise := make([]byte, c.size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(c.label))).Read(noise) // it is documented never to fail
	if err := add("noise", 0o644, noise); err != nil {
		return nil, err
	}
	err := writer.Close()
	return plain.Bytes(), err
}

func (i *image) keepJSON(mediaType string, value any) (imagespec.Descriptor, error) {
	body, err := json.Marshal(value)
	return i.keep(mediaType, body), err
}

func (i *image) keep(mediaType string, body []byte) imagespec.Descriptor {
	sum := digest.FromBytes(body)
	i.data[sum] = body
	return imagespec.Descriptor{MediaType: mediaType, Digest: sum, Size: int64(len(body))}
}
