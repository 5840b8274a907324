package main

import (
	"context"
	"sync"
	"time"
)

const keptErrors = 10

// spun counts the rounds of a spin; Failures of them went wrong, Errors has the first different ones.
type spun struct {
	Rounds    int64        `json:"rounds"`
	Failures  int64        `json:"failures"`
	Errors    []spunErrors `json:"errors"`
	SlowestMS float64      `json:"slowestMs"`
	InARow    int64        `json:"inARow"` // the most failures that one worker saw one after the other
}

type spunErrors struct {
	Error  string  `json:"error"`
	Count  int64   `json:"count"`
	Round  int64   `json:"round"`  // the first round that said so
	AtUnix float64 `json:"atUnix"` // and when it ended, in seconds
}

// spin repeats one request in several workers until it is stopped.
type spin struct {
	cancel  context.CancelFunc
	workers sync.WaitGroup
	lock    sync.Mutex
	counts  spun
}

func startSpin(ctx context.Context, wanted request) *spin {
	ctx, cancel := context.WithCancel(ctx)
	one := &spin{cancel: cancel, counts: spun{Errors: []spunErrors{}}}
	for range max(1, wanted.Workers) {
		one.workers.Add(1)
		go func() {
			defer one.workers.Done()
			one.work(ctx, *wanted.Request, time.Duration(wanted.PauseMS)*time.Millisecond)
		}()
	}
	return one
}

func (s *spin) work(ctx context.Context, wanted request, pause time.Duration) {
	var row int64
	for ctx.Err() == nil {
		// A round that has begun is finished, so that a stop is never counted as a failure.
		outcome := perform(context.WithoutCancel(ctx), wanted)
		row++
		if outcome.OK {
			row = 0
		}
		s.count(outcome, row)
		if pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// count adds a round; row is how many the worker has failed by now one after the other.
func (s *spin) count(outcome result, row int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.counts.InARow = max(s.counts.InARow, row)
	s.counts.Rounds++
	s.counts.SlowestMS = max(s.counts.SlowestMS, outcome.MS)
	if outcome.OK {
		return
	}
	s.counts.Failures++
	for i := range s.counts.Errors {
		if s.counts.Errors[i].Error == outcome.Error {
			s.counts.Errors[i].Count++
			return
		}
	}
	if len(s.counts.Errors) < keptErrors {
		at := float64(time.Now().UnixMicro()) / 1e6
		s.counts.Errors = append(s.counts.Errors, spunErrors{Error: outcome.Error, Count: 1, Round: s.counts.Rounds, AtUnix: at})
	}
}

func (s *spin) stop() {
	s.cancel()
	s.workers.Wait()
}

func (s *spin) summary() *spun {
	s.lock.Lock()
	defer s.lock.Unlock()
	copied := s.counts
	copied.Errors = append([]spunErrors{}, s.counts.Errors...)
	return &copied
}
