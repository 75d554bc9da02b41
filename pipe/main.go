// Command pipe signs the later commands of a Bitbucket Pipelines step in to AWS, Google Cloud and others, with the step's
// own identity token.
package main

import (
	"os"

	"bitbucket-oidc/internal/app"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/process"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx := process.Begin()
	start := cli.Start{Version: version, Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(app.Main(ctx, start, process.BecomeNeighbour, process.AskNeighbour))
}
