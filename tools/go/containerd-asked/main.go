// Command containerd-asked is containerd itself, of the version that its module file names. As `containerd-asked ask` it
// reads paths of main configuration files, one a line, and answers each with what its CRI plugin makes of it, as JSON.
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
	if len(os.Args) != 2 || os.Args[1] != "ask" {
		run()
		return
	}
	logrus.SetOutput(io.Discard)
	lines := bufio.NewScanner(os.Stdin)
	answers := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(answers)
	for lines.Scan() {
		answer := ask(context.Background(), lines.Text())
		if err := encoder.Encode(answer); err != nil {
			panic(err)
		}
		if err := answers.Flush(); err != nil {
			panic(err)
		}
	}
}
