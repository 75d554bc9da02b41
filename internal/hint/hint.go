// Package hint attaches advice to errors: the error says what happened, the hint what to change.
//
// A hint is one line without a period at its end, or such a line followed by indented text to paste.
package hint

import (
	"errors"
)

type advised struct {
	error
	advice []string
}

func (a *advised) Unwrap() error { return a.error }

// With returns err with advice. The text of the error stays as it is.
func With(err error, advice ...string) error {
	if err == nil || len(advice) == 0 {
		return err
	}
	return &advised{err, advice}
}

// New returns an error that says text, with advice.
func New(text string, advice ...string) error { return With(errors.New(text), advice...) }

// All returns the advice attached anywhere in err's tree, the outermost first, each text once.
func All(err error) []string {
	var all []string
	seen := map[string]bool{}
	walk(err, func(e error) {
		a, ok := e.(*advised)
		if !ok {
			return
		}
		for _, text := range a.advice {
			if !seen[text] {
				seen[text] = true
				all = append(all, text)
			}
		}
	})
	return all
}

// Failures splits what errors.Join put together, at any depth, into the single failures.
func Failures(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, Failures(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		walk(e.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			walk(inner, visit)
		}
	}
}
