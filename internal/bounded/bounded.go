// Package bounded ends a command in time, whatever it waits for: a lock inside a library, a file system that does not answer, output
// that nobody reads. A context can only ask a command to end; this package does not wait for one that does not listen.
package bounded

import (
	"context"
	"errors"
	"io"
	"time"
)

const (
	// grace is how long a command may go on after its context is done: it reports, and a removal that has begun goes on. With
	// the start and the end of the process it stays below the 2 s that are promised.
	grace = 1500 * time.Millisecond

	// telling is how long the report about an abandoned command may take: perhaps nobody reads standard error.
	telling = 100 * time.Millisecond
)

// A Command has a name for the report, and a time limit. Without a limit it runs until its context ends.
type Command struct {
	Name    string
	Timeout time.Duration
	Run     func(ctx context.Context) (status int)
}

// Run runs a command with a context that ends with ctx or after the command's time limit, and returns its exit status. A
// command that does not return soon after that is reported to stderr and given up: the status is 1, and the caller must end the
// process, because the command still runs.
func Run(ctx context.Context, c Command, stderr io.Writer) int {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	done := make(chan int, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case status := <-done:
		return status
	case <-ctx.Done():
	}
	select {
	case status := <-done:
		return status
	case <-time.After(grace):
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		_, _ = io.WriteString(stderr, "✖ "+c.Name+": "+report(ctx))
	}()
	select {
	case <-told:
	case <-time.After(telling):
	}
	return 1
}

// report is the report of a command that was given up and cannot report by itself.
func report(ctx context.Context) string {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return "no answer before TIMEOUT ran out\n" +
			"hint: raise TIMEOUT if a service or a disk is only slow, and see that something reads the output; no file is half written\n"
	}
	return "stopped\nhint: somebody or something stopped the step: run it again; no file is half written\n"
}
