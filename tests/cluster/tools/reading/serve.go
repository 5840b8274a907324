package reading

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Loader loads the directory of host under root as its runtime does; the error is the runtime's own.
type Loader func(root, host string) ([]*tls.Config, error)

type request struct {
	ID     int64  `json:"id"`
	Op     string `json:"op"`
	Layout string `json:"layout"`
	Root   string `json:"root"`
	Host   string `json:"host"`
}

type answer struct {
	ID    int64   `json:"id"`
	OK    bool    `json:"ok"`
	Error string  `json:"error"`
	MS    float64 `json:"ms"`
	*Loaded
}

// Serve answers read requests on stdin, one after the other, until it ends.
func Serve(layout string, load Loader) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var wanted request
		if err := json.Unmarshal(lines.Bytes(), &wanted); err != nil {
			os.Exit(2)
		}
		begun := time.Now()
		outcome := answer{ID: wanted.ID}
		loaded, err := read(layout, load, wanted)
		if err != nil {
			outcome.Error = err.Error()
		}
		outcome.Loaded, outcome.OK = loaded, err == nil
		outcome.MS = float64(time.Since(begun).Microseconds()) / 1000
		if out.Encode(outcome) != nil {
			return
		}
	}
}

func read(layout string, load Loader, wanted request) (*Loaded, error) {
	if wanted.Op != "read" || wanted.Layout != layout {
		return nil, fmt.Errorf("this program does %q for the layout %q alone", "read", layout)
	}
	if err := RequireDirectory(wanted.Root); err != nil {
		return nil, err
	}
	settings, err := load(wanted.Root, wanted.Host)
	if err != nil {
		return nil, err
	}
	return Summarize(settings)
}
