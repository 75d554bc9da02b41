package cli

import (
	"context"
	"errors"
)

// ErrUnfinished is the error of work that had not finished when its context ended.
var ErrUnfinished = errors.New("not finished")

// Await returns what work returns, or [ErrUnfinished] if ctx ends first. Work that does not listen to ctx then goes on until the
// process ends, so it must not print.
func Await[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := work()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ErrUnfinished
	}
}

// Ended says what ended a context: the time is over, which the caller describes, or a signal stopped the program.
func Ended(ctx context.Context, late string) string {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return late
	}
	return "stopped"
}
