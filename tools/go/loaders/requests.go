package main

import (
	"context"
	"fmt"
	"time"

	"registrytrust.io/reading"
)

// request is one thing to do: a command line, or one JSON line on stdin of serve.
type request struct {
	ID        int64  `json:"id"`
	Op        string `json:"op"`
	Layout    string `json:"layout"`
	Root      string `json:"root"`
	Host      string `json:"host"`      // read: host[:port]
	Reference string `json:"reference"` // pull: host[:port]/repository:tag
	Dial      string `json:"dial"`      // pull: host:port or unix:path
	TimeoutMS int64  `json:"timeoutMs"` // pull: 30 s when 0

	// spin repeats Request in so many workers, each resting PauseMS after every round; count and stop name the Spin by its id.
	Request *request `json:"request"`
	Workers int      `json:"workers"`
	PauseMS int64    `json:"pauseMs"`
	Spin    int64    `json:"spin"`

	// Expect is what each read must find; a round that finds less, or more, has failed even where the loader is content.
	Expect *reading.Expectation `json:"expect"`
}

// result is the outcome of a request. Error has the loader's, the registry's or TLS's own words.
type result struct {
	ID    int64   `json:"id"`
	OK    bool    `json:"ok"`
	Error string  `json:"error"`
	MS    float64 `json:"ms"`
	*loaded
	*pulled
	*reading.Spun
}

// loaded says what a loader made of a directory; system roots are not counted.
type loaded = reading.Loaded

// pulled says what came over the wire.
type pulled struct {
	Digest string `json:"digest"`
	Blobs  int    `json:"blobs"`
	Bytes  int64  `json:"bytes"`
}

// perform does one read or pull.
func perform(ctx context.Context, wanted request) result {
	begun := time.Now()
	outcome := result{ID: wanted.ID}
	var err error
	switch wanted.Op {
	case "read":
		outcome.loaded, err = read(ctx, wanted)
	case "pull":
		outcome.pulled, err = pullWithTimeout(ctx, wanted)
	default:
		err = fmt.Errorf("unknown operation %q", wanted.Op)
	}
	if err == nil && wanted.Expect != nil {
		err = wanted.Expect.Check(outcome.loaded)
	}
	if err != nil {
		outcome.Error = err.Error()
	}
	outcome.OK = err == nil
	outcome.MS = milliseconds(time.Since(begun))
	return outcome
}

func milliseconds(length time.Duration) float64 {
	return float64(length.Microseconds()) / 1000
}
