// Package process is what a program of this module does with its own process: what it leaves behind when it crashes, what its
// libraries may log, how it hears signals, and how another program takes its place.
package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"bitbucket-oidc/internal/hint"
)

// Begin must come first in a program. The context ends with the first signal that asks the program to stop.
func Begin() context.Context {
	leaveNoCore()
	// Libraries log what a server sent: net/http logs unexpected bytes behind a response, which can be the token once more, and
	// under GODEBUG=http2debug every header and body. The program reports what matters by itself.
	log.SetOutput(io.Discard)
	// Never undone: a signal that arrives when a command is done must not end the program as if the command had failed.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	return ctx
}

// BecomeNeighbour replaces the process with the program of that name in the same folder as this one. The program gets the same
// environment, standard streams and process id, so that signals reach it and its exit status is this one's. BecomeNeighbour
// returns only if that is not possible.
func BecomeNeighbour(name string, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(self), name)
	err = syscall.Exec(path, append([]string{name}, args...), os.Environ())
	if errors.Is(err, fs.ErrNotExist) {
		return hint.New("there is no program "+name+" in the folder of this one", "the image has both; `go build -o dist/ ./pipe/...` puts both into one folder")
	}
	return err
}
