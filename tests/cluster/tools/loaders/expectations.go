package main

import (
	"errors"
	"fmt"
)

// expectation is what a read of a healthy directory finds at any moment, whatever is written there meanwhile.
type expectation struct {
	CAs   int  `json:"cas"`   // CA roots beside the system's
	Pairs int  `json:"pairs"` // client pairs
	Agree bool `json:"agree"` // all of them have one subject: they were written together
}

func (e *expectation) check(found *loaded) error {
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
