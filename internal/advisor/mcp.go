package advisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/mcp"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/visible"
)

func mcpCommand() cli.Command {
	return cli.Command{Name: "mcp", Usage: mcpUsage, Options: mcpOptions(), Serves: true, Run: runMCP}
}

func mcpOptions() []cli.Option {
	return []cli.Option{{Name: "root", Value: "FOLDER", Usage: "documents may also be paths below FOLDER; without it they come as content only"}}
}

func mcpUsage(program string) string {
	return "Usage: " + program + ` mcp [FLAG…]

Serves copilots over the Model Context Protocol on standard input and output. Tools: explain_identity, check_trust,
who_gets_in, audit_pipeline, find_drift, explain_refusal. Resources: bitbucket-oidc://rules/RULE. Prompts: review_trust,
fix_refused_login. It only reads, sends nothing, and reads no token. Flags:

` + cli.Describe(mcpOptions()) + `
Exit status: 0 the input ended; 1 it is no such protocol, or the program was stopped; 2 the folder cannot be opened, or the
command line is wrong. Variables: TIMEOUT, which bounds each answer; DEBUG.
`
}

func runMCP(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	a.NoFiles()
	config := mcp.Config{Version: c.Version, Limit: a.Limit}
	if a.Given("root") {
		root, err := nowait.Folder(a.Text("root"))
		if err != nil {
			if path := (*fs.PathError)(nil); errors.As(err, &path) {
				err = path.Err
			}
			a.Add(hint.With(fmt.Errorf("--root: %s: %w", visible.Text(a.Text("root")), err), "give a folder that can be opened"))
		} else {
			defer root.Close()
			config.Root = root
		}
	}
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	in, out := c.Streams()
	switch err := mcp.Serve(ctx, config, in, out); {
	case ctx.Err() != nil:
		return c.Fail(errors.New("mcp: "+cli.Ended(ctx, "TIMEOUT ran out")), cli.Failed)
	case c.Unprinted():
		return cli.Failed
	case err != nil:
		return c.Fail(hint.With(fmt.Errorf("mcp: %w", err), "a client speaks the Model Context Protocol on standard input, one JSON message a line"), cli.Failed)
	}
	return cli.Done
}
