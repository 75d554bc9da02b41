// Package process has what a program of this module does with its own process: what a crash leaves behind, what libraries may log, how
// signals end the program, and how another program takes its place.
package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"bitbucket-oidc/internal/hint"
)

// Begin must come first in a program. The context ends with the first signal that asks the program to stop.
func Begin() context.Context {
	leaveNoCore()
	// Libraries log what a server sent: net/http logs unexpected bytes behind a response, which can be the token once more, and
	// under GODEBUG=http2debug every header and body. The program reports what matters by itself.
	log.SetOutput(io.Discard)
	// It is never undone: a signal that arrives when a command is done must not end the program as if the command had failed.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	return ctx
}

// BecomeNeighbour replaces the process with the program of that name in the same folder as this one. The program gets the same
// environment, standard streams and process id, so that signals reach it and its exit status is this one's. BecomeNeighbour
// returns only if that is not possible.
func BecomeNeighbour(name string, args []string) error {
	path, err := neighbour(name)
	if err != nil {
		return err
	}
	return missing(name, syscall.Exec(path, append([]string{name}, args...), os.Environ()))
}

// AskNeighbour runs the program of that name in the same folder as this one, with an empty environment, and returns its standard
// output, of at most so many bytes. An exit status other than 0 is an error. The program ends with ctx.
func AskNeighbour(ctx context.Context, name string, args []string, input []byte, most int) ([]byte, error) {
	path, err := neighbour(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{} // not nil: the step's token is in this program's
	cmd.Stdin = bytes.NewReader(input)
	out := &capped{most: most}
	cmd.Stdout = out
	cmd.WaitDelay = time.Second // a program that it started could keep the pipes open
	switch err := cmd.Run(); {
	case ctx.Err() != nil:
		return nil, errors.New("none came in time")
	case out.over:
		return nil, errors.New("it is too long")
	case err != nil:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, errors.New("it ended with " + exit.String())
		}
		return nil, missing(name, err)
	}
	return out.kept, nil
}

// capped keeps what is written, up to a number of bytes, and fails beyond it. It does not embed a bytes.Buffer: that would give it a
// ReadFrom without a bound, which io.Copy prefers.
type capped struct {
	kept []byte
	most int
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.over = c.over || len(p) > c.most-len(c.kept); c.over {
		return 0, io.ErrShortWrite
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

func neighbour(name string) (string, error) {
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), name), err
}

// missing advises where the program is not there.
func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return hint.New("there is no program "+name+" in the folder of this one", "the image has both; `go build -o dist/ ./pipe/...` puts both into one folder")
	}
	return err
}
