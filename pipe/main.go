// Command pipe signs the later commands of a Bitbucket Pipelines step in to AWS, Google Cloud and others, with the step's
// own identity token.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"bitbucket-oidc/internal/app"
)

// version is set by the linker.
var version = "dev"

func main() {
	leaveNoCore()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop() // never: a signal must not end a command that is done as if it were not
	os.Exit(app.Main(ctx, app.Program{Version: version, Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr}))
}
