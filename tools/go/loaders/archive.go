package main

import (
	"archive/tar"
	"encoding/json"
	"flag"
	"os"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

func archiveFromArguments(arguments []string) result {
	flags := flag.NewFlagSet("archive", flag.ExitOnError)
	var name, out string
	var wanted contents
	flags.StringVar(&out, "out", "", "the archive to write")
	wanted.flags(flags)
	parseOne(flags, arguments, &name)
	begun := time.Now()
	outcome := result{}
	made, err := wanted.build()
	if err == nil {
		err = made.write(out, name)
		outcome.pulled = &pulled{Digest: made.manifest.Digest.String(), Blobs: len(made.data)}
	}
	outcome.OK = err == nil
	if err != nil {
		outcome.Error = err.Error()
	}
	outcome.MS = milliseconds(time.Since(begun))
	return outcome
}

// write makes an OCI archive that "ctr images import" loads under the given name.
func (i *image) write(out, name string) error {
	manifest := i.manifest
	manifest.Annotations = map[string]string{"io.containerd.image.name": name, imagespec.AnnotationRefName: name}
	index, err := json.Marshal(imagespec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: imagespec.MediaTypeImageIndex,
		Manifests: []imagespec.Descriptor{manifest},
	})
	if err != nil {
		return err
	}
	layout, err := json.Marshal(imagespec.ImageLayout{Version: imagespec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	writer := tar.NewWriter(file)
	files := map[string][]byte{imagespec.ImageLayoutFile: layout, imagespec.ImageIndexFile: index}
	for sum, body := range i.data {
		files[imagespec.ImageBlobsDir+"/sha256/"+sum.Encoded()] = body
	}
	for path, body := range files {
		header := &tar.Header{Name: path, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if _, err := writer.Write(body); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return file.Sync()
}
