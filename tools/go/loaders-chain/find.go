package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

// question names the folder that stands for / and the registries or repositories to look up.
type question struct {
	Root  string   `json:"root"`
	Names []string `json:"names"`
}

type endpoint struct {
	Location string `json:"location"`
	Insecure bool   `json:"insecure"`
}

type entry struct {
	Prefix   string     `json:"prefix"`
	Endpoint endpoint   `json:"endpoint"`
	Mirrors  []endpoint `json:"mirrors"`
}

// answer has the library's refusal, or an entry for each name: null where registries.conf says nothing of it.
type answer struct {
	Error   string   `json:"error"`
	Entries []*entry `json:"entries"`
}

// find answers what registries.conf says, one question and one answer a line.
func find(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		if err := os.Setenv("XDG_CONFIG_HOME", filepath.Join(asked.Root, "root/.config")); err != nil {
			return err
		}
		if err := encoder.Encode(look(asked)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func look(asked question) answer {
	sysregistriesv2.InvalidateCache()
	found := answer{Entries: []*entry{}}
	for _, name := range asked.Names {
		registry, err := sysregistriesv2.FindRegistry(&types.SystemContext{RootForImplicitAbsolutePaths: asked.Root}, name)
		if err != nil {
			return answer{Error: err.Error()}
		}
		if registry == nil {
			found.Entries = append(found.Entries, nil)
			continue
		}
		one := entry{Prefix: registry.Prefix, Endpoint: of(registry.Endpoint), Mirrors: []endpoint{}}
		for _, mirror := range registry.Mirrors {
			one.Mirrors = append(one.Mirrors, of(mirror))
		}
		found.Entries = append(found.Entries, &one)
	}
	return found
}

func of(one sysregistriesv2.Endpoint) endpoint {
	return endpoint{one.Location, one.Insecure}
}
