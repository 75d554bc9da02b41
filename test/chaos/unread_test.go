package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUnread gives commands an output that is full and that nobody reads: they end in time all the same, by TIMEOUT and by
// signals, with what they changed whole.
func TestUnread(t *testing.T) {
	k := newKit(t)
	const timeout = time.Second
	cells := 0
	for _, name := range []string{"login", "logout", "--help"} {
		for _, unread := range []string{"stdout", "stderr", "both"} {
			for _, signals := range [][]syscall.Signal{nil, {syscall.SIGINT, syscall.SIGTERM, syscall.SIGTERM}} {
				how := "TIMEOUT"
				if signals != nil {
					how = "signals"
				}
				if cells++; cells%rounds(5, 1) != 0 {
					continue
				}
				t.Run(strings.Join([]string{name, unread, how}, "/"), func(t *testing.T) {
					t.Parallel()
					h, err := k.host(1)
					if err != nil {
						t.Fatal(err)
					}
					defer h.end()
					h.prepare(t, name == "logout")
					limit := timeout
					if signals != nil {
						limit = calm
					}
					r, err := h.unread(name, unread, limit, signals)
					if err := errors.Join(err, h.whole(), h.checkOutput(r)); err != nil {
						t.Fatal(err)
					}
					var count tally
					count.add(r, r.status != 0)
					found.note(t, count)
				})
			}
		}
	}
}

// unread runs a command one or both of whose outputs nobody reads. With signals it gets them when it has had time to print.
func (h host) unread(name, unread string, limit time.Duration, signals []syscall.Signal) (run, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit+10*time.Second)
	defer cancel()
	cmd := h.command(ctx, append(h.variables(), "TIMEOUT="+limit.String()), nil, name)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	full, end, err := fullPipe()
	if err != nil {
		return run{}, err
	}
	defer end()
	if unread != "stderr" {
		cmd.Stdout = full
	}
	if unread != "stdout" {
		cmd.Stderr = full
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return run{}, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	if signals != nil {
		select {
		case <-ended:
		case <-time.After(time.Second): // it has printed all that the pipe takes
			start, limit = time.Now(), 0
			for _, signal := range signals {
				_ = cmd.Process.Signal(signal)
			}
		}
	}
	<-ended
	r := run{status: cmd.ProcessState.ExitCode(), took: time.Since(start), stdout: stdout.String(), stderr: stderr.String()}
	switch {
	case r.took > limit+grace:
		return r, fmt.Errorf("it took %v, with a limit of %v", r.took, limit)
	case r.status != 0 && r.status != 1:
		return r, fmt.Errorf("%v\n%s%s", cmd.ProcessState, r.stdout, r.stderr)
	}
	return r, r.checkCalm()
}

// fullPipe is a pipe that takes nothing more until it is ended.
func fullPipe() (full *os.File, end func(), err error) {
	reader, full, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	end = func() { _, _ = reader.Close(), full.Close() }
	if err := full.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		end()
		return nil, nil, err
	}
	for {
		if _, err := full.Write(make([]byte, 1<<12)); errors.Is(err, os.ErrDeadlineExceeded) {
			return full, end, nil
		} else if err != nil {
			end()
			return nil, nil, err
		}
	}
}
