package advisor

import (
	"context"
	"slices"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/identity"
	"bitbucket-oidc/internal/judge"
)

// reachOption asks who gets in at all.
func reachOption() cli.Option {
	return cli.Option{Name: "reach", Usage: "print everybody who gets in, instead of judging one identity"}
}

// checkReach prints who gets in through files: in the workspace of the identity if the command line gives one, or else in the
// workspace that each document names.
func checkReach(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	u := bitbucket.Universe{}
	now := a.Moment("now", time.Now())
	if slices.ContainsFunc([]string{"token-file", "claims", "workspace", "workspace-uuid", "repository-uuid"}, a.Given) {
		if id := identity.Read(ctx, a, now); id.Claims.Subject != "" {
			u = bitbucket.Around(id)
		}
	}
	u.Now = now
	files := readFiles(ctx, a, a.Files)
	out := readOutput(ctx, c, a)
	if slices.Contains(a.Texts("format"), "sarif") {
		a.Wrong("format", "SARIF has findings only, and --reach has none")
	}
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	reached, err := judge.Reach(ctx, files, u)
	switch {
	case err != nil:
		return c.Fail(unknownKinds(err), cli.Misused)
	case ctx.Err() != nil:
		return c.Fail(tooSlow(ctx), cli.Misused)
	}
	return out.put(ctx, c, reachReport(c.Version, now, files, reached))
}
