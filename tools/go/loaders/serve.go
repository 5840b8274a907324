package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"registrytrust.io/reading"
)

// server answers JSON lines; each request runs by itself, and the answers carry its id.
type server struct {
	ctx     context.Context
	writing sync.Mutex
	out     *json.Encoder

	lock  sync.Mutex
	spins map[int64]*reading.Spin
}

// serve returns when its input ends, and the program with it.
func serve(in io.Reader, out io.Writer) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	one := &server{ctx: ctx, out: json.NewEncoder(out), spins: map[int64]*reading.Spin{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var wanted request
		if err := json.Unmarshal(lines.Bytes(), &wanted); err != nil {
			one.answer(result{ID: wanted.ID, Error: "not a request: " + err.Error()})
			continue
		}
		one.take(wanted)
	}
}

func (s *server) take(wanted request) {
	switch wanted.Op {
	case "spin":
		s.answer(s.start(wanted))
	case "count", "stop":
		go func() { s.answer(s.inspect(wanted)) }()
	default:
		go func() { s.answer(perform(s.ctx, wanted)) }()
	}
}

func (s *server) answer(outcome result) {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.out.Encode(outcome) // whoever asked has gone; the input ends next
}

func (s *server) start(wanted request) result {
	outcome := result{ID: wanted.ID}
	if wanted.Request == nil || (wanted.Request.Op != "read" && wanted.Request.Op != "pull") {
		outcome.Error = "spin needs a read or pull request"
		return outcome
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.spins[wanted.ID] = reading.StartSpin(wanted.Workers, time.Duration(wanted.PauseMS)*time.Millisecond, func() error {
		outcome := perform(context.WithoutCancel(s.ctx), *wanted.Request)
		if outcome.OK {
			return nil
		}
		return errors.New(outcome.Error)
	})
	outcome.OK = true
	return outcome
}

func (s *server) inspect(wanted request) result {
	s.lock.Lock()
	one := s.spins[wanted.Spin]
	s.lock.Unlock()
	outcome := result{ID: wanted.ID}
	if one == nil {
		outcome.Error = fmt.Sprintf("nothing spins under id %d", wanted.Spin)
		return outcome
	}
	if wanted.Op == "stop" {
		one.Stop()
	}
	outcome.Spun = one.Summary()
	outcome.OK = true
	return outcome
}
