// Package app is the program pipe: it signs the later commands of a step in, and out.
package app

import (
	"context"

	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/explain"
)

// Ask runs a command of the program beside this one with an empty environment, and returns its standard output, of at most so many
// bytes.
type Ask func(ctx context.Context, program string, args []string, input []byte, most int) ([]byte, error)

// Main runs the command that is asked for and returns the exit status. handOver runs the program beside this one for the
// commands that this one does not have, and ask gets the judgement of guardrails from it.
func Main(ctx context.Context, s cli.Start, handOver func(program string, args []string) error, ask Ask) int {
	return cli.Program{Name: cli.Pipe, Commands: Commands(ask), Variables: backends.Variables(), HandOver: handOver}.Main(ctx, s)
}

// Commands are what pipe has. The judgement of trust is not among them: the process that holds the token stays small.
func Commands(ask Ask) []cli.Command {
	return []cli.Command{
		{
			Name: "login", Usage: loginUsage, Guarded: true, Acts: true,
			Run: func(ctx context.Context, c *cli.Console, a *cli.Arguments) int { return login(ctx, c, a, ask) },
		},
		{Name: "logout", Usage: logoutUsage, Acts: true, Run: logout},
		explain.Command(),
		guardCommand(),
	}
}
