// Command bitbucket-oidc decides who gets in with a Bitbucket Pipelines step's identity token, and proves it.
package main

import (
	"os"

	"bitbucket-oidc/internal/advisor"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/process"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx := process.Begin()
	start := cli.Start{Version: version, Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(advisor.Main(ctx, start))
}
