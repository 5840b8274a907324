// Command loaders-chain fetches an image's manifest with the docker transport of current containers/image, as CRI-O,
// Podman and Skopeo do, with all the roots of certificate directories that it looks in, below a folder of one's choice.
// With `find` it says what registries.conf below such a folder has for a registry, as JSON lines.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "find" {
		if err := find(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: loaders-chain FOLDER HOST/REPOSITORY:TAG | loaders-chain find")
		os.Exit(2)
	}
	found, err := fetch(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(found)
}

func fetch(root, image string) (digest.Digest, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reference, err := docker.ParseReference("//" + image)
	if err != nil {
		return "", err
	}
	source, err := reference.NewImageSource(ctx, &types.SystemContext{RootForImplicitAbsolutePaths: root})
	if err != nil {
		return "", err
	}
	defer source.Close()
	manifest, _, err := source.GetManifest(ctx, nil)
	if err != nil {
		return "", err
	}
	return digest.FromBytes(manifest), nil
}
