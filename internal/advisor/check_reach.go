package advisor

import (
	"context"
	"slices"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/identity"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/report"
)

// reachOption asks who gets in at all.
func reachOption() cli.Option {
	return cli.Option{Name: "reach", Usage: "prints who gets in at all, as a set, and judges no one identity; text or json"}
}

// checkReach prints who gets in through files: in the workspace of an identity where the command line gives one, else in that which
// each document names.
func checkReach(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	u := bitbucket.Universe{}
	now := a.Moment("now", time.Now())
	if slices.ContainsFunc([]string{"token-file", "claims", "workspace", "workspace-uuid", "repository-uuid"}, a.Given) {
		if id := identity.Read(ctx, a, now); id.Claims.Subject != "" {
			u = bitbucket.Around(id)
		}
	}
	u.Now = now
	files := readFiles(ctx, a)
	format := a.Text("format")
	if format != "" && format != "text" && format != "json" {
		a.Wrong("format", "--reach prints text or json")
	}
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	reached, err := judge.Reach(ctx, files, u)
	switch {
	case err != nil:
		return c.Fail(unknownKinds(err), cli.Misused)
	case ctx.Err() != nil:
		return c.Fail(hint.New("judging the files: "+cli.Ended(ctx, "not done before TIMEOUT ran out"), "give fewer files or smaller ones, or raise TIMEOUT"), cli.Misused)
	case format == "json":
		c.Lines(report.ReachJSON(reached))
	default:
		c.Lines(report.ReachText(a.Files, reached))
	}
	return cli.Done
}
