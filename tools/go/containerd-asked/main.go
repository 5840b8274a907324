// Command containerd-asked is containerd itself, of the version that its module file names. As `containerd-asked ask` it
// reads paths of main configuration files, one a line, and answers each with what its CRI plugin makes of it, as JSON. As
// `containerd-asked hosts` it reads lines of a certs.d root, a tab and a registry, and answers with the hosts to be tried.
// As `containerd-asked pull` it reads lines of a socket, a tab and an image, which a running containerd is to pull.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/sirupsen/logrus"
)

// Answer is what containerd makes of a main file and all that it imports.
type Answer struct {
	// Error says why containerd would not start, in its own words.
	Error string `json:"error"`
	// Refused says why the CRI plugin would not load, in its own words.
	Refused string `json:"refused"`
	// Disabled says that the CRI plugin is on the list of disabled plugins.
	Disabled bool `json:"disabled"`
	// ConfigPath, Mirrors: of the registry settings, after the plugin's defaults.
	ConfigPath string `json:"configPath"`
	Mirrors    bool   `json:"mirrors"`
	// LocalPull says that the plugin pulls without the transfer service.
	LocalPull bool `json:"localPull"`
}

func main() {
	operation := ""
	if len(os.Args) == 2 {
		operation = os.Args[1]
	}
	switch operation {
	case "ask":
		answerLines(func(line string) any { return ask(context.Background(), line) })
	case "hosts":
		answerLines(func(line string) any { return hosts(line) })
	case "pull":
		answerLines(func(line string) any { return pull(line) })
	default:
		run()
	}
}

func answerLines(answer func(string) any) {
	logrus.SetOutput(io.Discard)
	lines := bufio.NewScanner(os.Stdin)
	answers := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(answers)
	for lines.Scan() {
		if err := encoder.Encode(answer(lines.Text())); err != nil {
			panic(err)
		}
		if err := answers.Flush(); err != nil {
			panic(err)
		}
	}
}
