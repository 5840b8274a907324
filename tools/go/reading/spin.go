package reading

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const keptErrors = 10

// Spun counts the rounds of a spin; Failures of them went wrong, Errors has the first different ones.
type Spun struct {
	Rounds    int64        `json:"rounds"`
	Failures  int64        `json:"failures"`
	Errors    []SpunErrors `json:"errors"`
	SlowestMS float64      `json:"slowestMs"`
	InARow    int64        `json:"inARow"` // the most failures that one worker saw one after the other
}

// SpunErrors says how often rounds failed with the same words.
type SpunErrors struct {
	Error  string  `json:"error"`
	Count  int64   `json:"count"`
	Round  int64   `json:"round"`  // the first round that said so
	AtUnix float64 `json:"atUnix"` // and when it ended, in seconds
}

// Expectation is what a read of a healthy directory finds at any moment, whatever is written there meanwhile.
type Expectation struct {
	CAs   int  `json:"cas"`   // CA roots beside the system's
	Pairs int  `json:"pairs"` // client pairs
	Agree bool `json:"agree"` // all of them have one subject: they were written together
}

// Check says what is missing, too much or mixed.
func (e *Expectation) Check(found *Loaded) error {
	if found == nil {
		return errors.New("only a read can have an expectation")
	}
	if len(found.CASubjects) != e.CAs || len(found.Leaves) != e.Pairs {
		return fmt.Errorf("expected %d CA roots and %d client pairs, and found %d and %d", e.CAs, e.Pairs, len(found.CASubjects), len(found.Leaves))
	}
	all := append(append([]string{}, found.CASubjects...), found.Leaves...)
	for _, one := range all {
		if e.Agree && one != all[0] {
			return errors.New("the files were not written together")
		}
	}
	return nil
}

// Spin repeats a round in several workers until it is stopped.
type Spin struct {
	round   func() error
	ended   chan struct{}
	stopped sync.Once
	workers sync.WaitGroup
	lock    sync.Mutex
	counts  Spun
}

// StartSpin begins; each worker rests after every round.
func StartSpin(workers int, rest time.Duration, round func() error) *Spin {
	one := &Spin{round: round, ended: make(chan struct{}), counts: Spun{Errors: []SpunErrors{}}}
	for range max(1, workers) {
		one.workers.Add(1)
		go func() {
			defer one.workers.Done()
			one.work(rest)
		}()
	}
	return one
}

// Stop ends the spin. A round that has begun is finished, so that a stop is never counted as a failure.
func (s *Spin) Stop() {
	s.stopped.Do(func() { close(s.ended) })
	s.workers.Wait()
}

// Summary says how it goes.
func (s *Spin) Summary() *Spun {
	s.lock.Lock()
	defer s.lock.Unlock()
	copied := s.counts
	copied.Errors = append([]SpunErrors{}, s.counts.Errors...)
	return &copied
}

func (s *Spin) work(rest time.Duration) {
	var row int64
	for {
		select {
		case <-s.ended:
			return
		default:
		}
		begun := time.Now()
		err := s.round()
		row++
		if err == nil {
			row = 0
		}
		s.count(err, row, float64(time.Since(begun).Microseconds())/1000)
		if rest > 0 {
			select {
			case <-s.ended:
			case <-time.After(rest):
			}
		}
	}
}

// count adds a round; row is how many the worker has failed by now one after the other.
func (s *Spin) count(err error, row int64, ms float64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.counts.InARow = max(s.counts.InARow, row)
	s.counts.Rounds++
	s.counts.SlowestMS = max(s.counts.SlowestMS, ms)
	if err == nil {
		return
	}
	s.counts.Failures++
	for i := range s.counts.Errors {
		if s.counts.Errors[i].Error == err.Error() {
			s.counts.Errors[i].Count++
			return
		}
	}
	if len(s.counts.Errors) < keptErrors {
		at := float64(time.Now().UnixMicro()) / 1e6
		s.counts.Errors = append(s.counts.Errors, SpunErrors{Error: err.Error(), Count: 1, Round: s.counts.Rounds, AtUnix: at})
	}
}
