// Command pipe signs the later commands of a Bitbucket Pipelines step in to AWS, Google Cloud and others, with the step's
// own identity token.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"bitbucket-oidc/internal/app"
)

// version is set by the linker.
var version = "dev"

func main() {
	leaveNoCore()
	// Libraries log what a server sent: net/http does with what stands behind an answer, which can be the token once more, and
	// under GODEBUG=http2debug with every header and body. What is worth telling, internal/app tells.
	log.SetOutput(io.Discard)
	// Never undone: a signal must not end a command that is done as if it were not.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(app.Main(ctx, app.Program{Version: version, Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr}))
}
