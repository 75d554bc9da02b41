package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

// A recording is everything that the programs showed in one story, in all runs: see [bitbucket-oidc/test/recorder].
type recording struct {
	listener net.Listener
	runs     sync.WaitGroup

	mu           sync.Mutex
	commandLines []string
	output       strings.Builder
}

func startRecording() (*recording, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &recording{listener: listener}
	r.runs.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
			r.runs.Go(func() {
				defer conn.Close()
				r.listen(bufio.NewReader(conn))
			})
		}
	})
	return r, nil
}

// listen records one run. A connection without a proper end is that of a program that was killed.
func (r *recording) listen(run *bufio.Reader) {
	line, _ := run.ReadString('\n')
	output, _ := io.ReadAll(run)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commandLines = append(r.commandLines, line)
	r.output.Write(output)
}

// tokenGiven are the stories that put a token on the command line themselves, to see that the program does not take it.
var tokenGiven = map[string]bool{"explain_arguments": true, "check_identity": true}

// end ends the recording of a story, and fails if one of the secrets stands in it.
func (r *recording) end(story string, secrets []cloud.Secret) error {
	_ = r.listener.Close()
	r.runs.Wait()
	err := cloud.CheckText(r.output.String(), secrets)
	if err != nil {
		err = fmt.Errorf("output: %w", err)
	}
	line := cloud.CheckText(strings.Join(r.commandLines, ""), secrets)
	if line != nil && !tokenGiven[story] {
		err = errors.Join(err, fmt.Errorf("command line: %w", line))
	}
	return err
}

// buildRecorder puts recorders into a folder by the names of the programs, and the programs into its folder real.
func buildRecorder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := program.Build(t.Context(), filepath.Join(dir, "real")); err != nil {
		t.Fatal(err)
	}
	pipe, advisor := filepath.Join(dir, "pipe"), filepath.Join(dir, "bitbucket-oidc")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", pipe, "bitbucket-oidc/test/recorder")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.Link(pipe, advisor); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestRecording checks that the recorder does not change what it records, and that it sees every way to show a secret.
func TestRecording(t *testing.T) {
	dir := buildRecorder(t)
	secret := cloud.Secret{Kind: cloud.StepToken, Value: "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl"}
	for _, c := range []struct {
		name, script string
		args         []string
		leaks        bool
		status       int
		prints       string
	}{
		{"nothing", `cat; echo out; echo err >&2; exit 3`, nil, false, 3, "inout"},
		{"standard output", `echo "$SECRET"`, nil, true, 0, secret.Value},
		{"standard error", `echo "$SECRET" >&2; echo out`, nil, true, 0, "out"},
		{"command line", `sleep 0.1`, []string{secret.Value}, true, 0, ""},
		{"a signal", `kill -TERM $$`, nil, false, -1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "real", "pipe"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			r, err := startRecording()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "pipe"), c.args...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "RECORDER=" + r.listener.Addr().String(), "SECRET=" + secret.Value}
			cmd.Stdin = strings.NewReader("in")
			out, _ := cmd.Output()
			if got := strings.ReplaceAll(string(out), "\n", ""); cmd.ProcessState.ExitCode() != c.status || got != c.prints {
				t.Errorf("status %d, output %q", cmd.ProcessState.ExitCode(), got)
			}
			if err := r.end(c.name, []cloud.Secret{secret}); (err != nil) != c.leaks {
				t.Errorf("found: %v", err)
			}
		})
	}
}
