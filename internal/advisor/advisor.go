// Package advisor is the program bitbucket-oidc: for people, schedules and copilots it decides who gets in, and proves it.
package advisor

import (
	"context"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/explain"
)

// Main runs the command that is asked for and returns the exit status.
func Main(ctx context.Context, s cli.Start) int {
	return cli.Program{Name: cli.Advisor, Commands: Commands(), Variables: append(config.General(), config.Standard(), LiveVariables())}.Main(ctx, s)
}

// Commands are what bitbucket-oidc has. A new command is a file of this package and a line here, and a line in
// [cli.Entries], which pipe reads as well.
func Commands() []cli.Command {
	return []cli.Command{
		explain.Command(),
		checkCommand(),
		auditCommand(),
		mapCommand(),
		driftCommand(),
		guardCommand(),
		evidenceCommand(),
		mcpCommand(),
	}
}
