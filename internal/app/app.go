// Package app is the program pipe: it signs the later commands of a step in, and out.
package app

import (
	"context"

	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/explain"
)

// Main runs the command that is asked for and returns the exit status. handOver runs the program beside this one for the
// commands that this one does not have.
func Main(ctx context.Context, s cli.Start, handOver func(program string, args []string) error) int {
	return cli.Program{Name: cli.Pipe, Commands: Commands(), Variables: backends.Variables(), HandOver: handOver}.Main(ctx, s)
}

// Commands are what pipe has. The judgement of trust is not among them: the process that holds the token stays small.
func Commands() []cli.Command {
	return []cli.Command{
		{Name: "login", Usage: loginUsage, Guarded: true, Run: login},
		{Name: "logout", Usage: logoutUsage, Run: logout},
		explain.Command(),
	}
}
