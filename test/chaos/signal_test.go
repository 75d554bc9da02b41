package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestSignals ends commands at random moments of their life.
func TestSignals(t *testing.T) {
	k := newKit(t)
	times := rounds(8, 80)
	for _, c := range commands {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
			t.Run(c.label+"/"+signal.String(), func(t *testing.T) {
				t.Parallel()
				h, err := k.host(*seed)
				if err != nil {
					t.Fatal(err)
				}
				defer h.end()
				h.hold(t, c.held)
				var count tally
				for range times {
					r, ended, err := h.interrupted(c.name, c.second, signal)
					count.add(r, ended)
					if err != nil {
						t.Fatal(err)
					}
				}
				found.note(t, count)
			})
		}
	}
}

// moment is one of a command's life, which is longer where a second program judges guardrails.
func (h host) moment(name string) time.Duration {
	life := 25 * time.Millisecond
	if h.held && name == "login" {
		life = 100 * time.Millisecond
	}
	return time.Duration(h.random.Int64N(int64(life)))
}

// interrupted starts a command and ends it at a random moment of its life. Whatever is left is whole, and the next login
// succeeds.
func (h host) interrupted(name string, second bool, signal syscall.Signal) (run, bool, error) {
	if err := os.RemoveAll(h.output()); err != nil {
		return run{}, false, err
	}
	if second {
		if err := h.must("login"); err != nil {
			return run{}, false, err
		}
	}
	before, err := h.snapshot()
	if err != nil {
		return run{}, false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), hostLimit+grace)
	defer cancel()
	cmd := h.command(ctx, h.variables(), nil, name)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return run{}, false, err
	}
	done := make(chan struct{})
	moment := time.Now().Add(h.moment(name))
	go func() {
		defer close(done)
		for time.Now().Before(moment) {
			time.Sleep(20 * time.Microsecond)
		}
		_ = cmd.Process.Signal(signal) // it may have ended by itself
	}()
	_ = cmd.Wait()
	<-done
	if ctx.Err() != nil {
		return run{}, false, fmt.Errorf("it went on after %v:\n%s", signal, stderr.String())
	}
	r := run{status: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	// Before the program asks for signals, they end it as they end any.
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		after, err := h.snapshot()
		if err == nil && signal != syscall.SIGKILL && after.tree+after.records != before.tree+before.records {
			err = fmt.Errorf("%v ended it at once, and it had changed something", signal)
		}
		err = errors.Join(err, h.checkRecords(r, name, before.records, after.records))
		if err = errors.Join(err, h.whole(), h.checkSecrets(r)); err != nil {
			return r, true, err
		}
		return r, true, h.must("login")
	}
	return r, r.status != 0, h.check(r, name, before, 1)
}

// TestRemoved takes the build directory, or what an earlier login wrote, away while a login waits for its cloud, and at
// random moments.
func TestRemoved(t *testing.T) {
	k := newKit(t)
	for _, c := range []struct {
		name    string
		what    func(host) string
		fails   bool
		renewed bool // somebody makes the folder again
	}{
		{"build directory", func(h host) string { return h.clone() }, true, false},
		{"build directory, and made again", func(h host) string { return h.clone() }, false, true},
		{"output folder", func(h host) string { return h.output() }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, err := k.host(1)
			if err != nil {
				t.Fatal(err)
			}
			defer h.end()
			h.prepare(t, true)
			h.world.STS.Inject(func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
				_ = os.RemoveAll(c.what(h))
				if c.renewed {
					_ = os.Mkdir(c.what(h), 0o700)
				}
				fake.ServeHTTP(w, r)
			})
			r, err := h.do("login")
			if err != nil {
				t.Fatal(err)
			}
			var count tally
			count.add(r, true)
			found.note(t, count)
			if !c.fails {
				if err := errors.Join(h.check(r, "login", snapshot{}, 1), h.whole()); err != nil || r.status != 0 {
					t.Fatalf("status %d: %v\n%s", r.status, err, r.stderr)
				}
				return
			}
			if err := errors.Join(r.checkTold(), h.checkOutput(r)); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(h.clone()); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("the build directory is back: %v", err)
			}
		})
	}
	t.Run("at random moments", func(t *testing.T) {
		t.Parallel()
		times := rounds(8, 200)
		h, err := k.host(*seed)
		if err != nil {
			t.Fatal(err)
		}
		defer h.end()
		var count tally
		for range times {
			var removing sync.WaitGroup
			wait := h.moment("login")
			removing.Go(func() {
				time.Sleep(wait)
				_ = os.RemoveAll(h.output())
			})
			r, err := h.do("login")
			removing.Wait()
			count.add(r, r.status != 0)
			if r.status != 0 {
				err = errors.Join(err, r.checkTold())
			}
			// What is left may be half of a login, which the next one does not take for its own.
			if err := errors.Join(err, h.checkSecrets(r), os.RemoveAll(h.output()), h.must("login"), h.whole()); err != nil {
				t.Fatal(err)
			}
		}
		found.note(t, count)
	})
}
