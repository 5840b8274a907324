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
// It is called by one goroutine at a time for each root.
type Loader func(root, host string) ([]*tls.Config, error)

type request struct {
	ID     int64  `json:"id"`
	Op     string `json:"op"`
	Layout string `json:"layout"`
	Root   string `json:"root"`
	Host   string `json:"host"`

	// spin repeats the read Request, resting PauseMS after each; count and stop name the Spin by its id.
	Request *request     `json:"request"`
	PauseMS int64        `json:"pauseMs"`
	Spin    int64        `json:"spin"`
	Expect  *Expectation `json:"expect"`
}

type answer struct {
	ID    int64   `json:"id"`
	OK    bool    `json:"ok"`
	Error string  `json:"error"`
	MS    float64 `json:"ms"`
	*Loaded
	*Spun
}

// server is one loader, and what spins.
type server struct {
	layout string
	load   Loader
	spins  map[int64]*Spin
}

// Serve answers requests on stdin, one after the other, until it ends.
func Serve(layout string, load Loader) {
	one := &server{layout: layout, load: load, spins: map[int64]*Spin{}}
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
		if err := one.take(wanted, &outcome); err != nil {
			outcome.Error = err.Error()
		}
		outcome.OK = outcome.Error == ""
		outcome.MS = float64(time.Since(begun).Microseconds()) / 1000
		if out.Encode(outcome) != nil {
			return
		}
	}
}

func (s *server) take(wanted request, outcome *answer) (err error) {
	switch wanted.Op {
	case "read":
		outcome.Loaded, err = s.read(wanted)
	case "spin":
		if wanted.Request == nil || wanted.Request.Op != "read" {
			return fmt.Errorf("spin needs a read request here")
		}
		repeated := *wanted.Request
		s.spins[wanted.ID] = StartSpin(1, time.Duration(wanted.PauseMS)*time.Millisecond, func() error {
			_, err := s.read(repeated)
			return err
		})
	case "count", "stop":
		one := s.spins[wanted.Spin]
		if one == nil {
			return fmt.Errorf("nothing spins under id %d", wanted.Spin)
		}
		if wanted.Op == "stop" {
			one.Stop()
		}
		outcome.Spun = one.Summary()
	default:
		return fmt.Errorf("unknown operation %q", wanted.Op)
	}
	return err
}

func (s *server) read(wanted request) (*Loaded, error) {
	if wanted.Layout != s.layout {
		return nil, fmt.Errorf("this program reads the layout %q alone", s.layout)
	}
	if err := RequireDirectory(wanted.Root); err != nil {
		return nil, err
	}
	settings, err := s.load(wanted.Root, wanted.Host)
	if err != nil {
		return nil, err
	}
	loaded, err := Summarize(settings)
	if err == nil && wanted.Expect != nil {
		err = wanted.Expect.Check(loaded)
	}
	return loaded, err
}
