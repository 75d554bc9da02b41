//go:build linux

package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSwapped has a process of the step swap what a command reads for a named pipe that nobody writes to, as fast as it can:
// between a look at the name and its opening too. No command waits for the pipe.
func TestSwapped(t *testing.T) {
	k := newKit(t)
	for _, c := range []struct {
		name, command string
		login         bool // before
		what          func(host) string
		held          bool // to guardrails, and its records are wanted
	}{
		{"bitbucket-pipelines.yml", "login", false, func(h host) string { return filepath.Join(h.clone(), "bitbucket-pipelines.yml") }, false},
		{".gitignore", "login", true, func(h host) string { return filepath.Join(h.output(), ".gitignore") }, false},
		{"output folder", "login", true, func(h host) string { return h.output() }, false},
		{"output folder", "logout", true, func(h host) string { return h.output() }, false},
		{"state", "login", true, func(h host) string { return h.generation("state.json") }, false},
		{"state", "logout", true, func(h host) string { return h.generation("state.json") }, false},
		{"credentials", "logout", true, func(h host) string { return h.generation("aws/credentials") }, false},
		{"folder of a backend", "logout", true, func(h host) string { return h.generation("aws") }, false},
		{"guardrails", "login", false, func(h host) string { return filepath.Join(h.clone(), "guard.yaml") }, true},
		{"access map", "login", false, func(h host) string { return filepath.Join(h.clone(), "access.yaml") }, true},
		{"records", "login", true, func(h host) string { return filepath.Join(h.clone(), recordsFile) }, true},
		{"records", "logout", true, func(h host) string { return filepath.Join(h.clone(), recordsFile) }, true},
	} {
		t.Run(c.command+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			h, err := k.host(1)
			if err != nil {
				t.Fatal(err)
			}
			defer h.end()
			var count tally
			for range rounds(12, 100) {
				if err := errors.Join(os.RemoveAll(h.output()), os.RemoveAll(filepath.Join(h.clone(), recordsFile))); err != nil {
					t.Fatal(err)
				}
				h.hold(t, c.held)
				h.prepare(t, c.login)
				end, err := swap(c.what(h))
				if err != nil {
					t.Fatal(err)
				}
				r, err := h.do(c.command)
				end()
				count.add(r, true)
				if err := errors.Join(err, r.checkCalm(), h.checkOutput(r)); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Lstat(h.output()); r.status != 0 && !c.login && err == nil {
					t.Fatalf("it failed and wrote:\n%s", r.stderr)
				}
				if strings.Contains(r.stderr, "✖ pipe: ") || r.status < 0 || r.status > 2 {
					t.Fatalf("status %d:\n%s", r.status, r.stderr)
				}
			}
			found.note(t, count)
		})
	}
}

// generation is the path of a file behind the names that users know.
func (h host) generation(file string) string {
	target, _ := os.Readlink(filepath.Join(h.output(), ".current"))
	return filepath.Join(h.output(), target, file)
}

// swap exchanges what lies under a path, or a file, for a named pipe, again and again until it is ended.
func swap(path string) (end func(), err error) {
	pipe := filepath.Join(filepath.Dir(path), "swapped")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return nil, err
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, pipe, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) // until one of them is gone
			}
		}
	}()
	return func() { close(stop); <-stopped; _ = os.RemoveAll(pipe) }, nil
}
