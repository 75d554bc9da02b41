package advisor

import (
	"context"
	"fmt"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/live"
	"bitbucket-oidc/internal/trust"
)

func driftCommand() cli.Command {
	return cli.Command{Name: "drift", Usage: driftUsage, Options: driftOptions(), Run: runDrift}
}

func driftOptions() []cli.Option {
	return append([]cli.Option{
		mapFlag(),
		targetOption(),
		{Name: "live", Usage: "read the clouds as well, with the credentials that login left; nothing is changed there"},
		{Name: "role-name", Value: "NAME", Pattern: `[\w+=,.@-]{1,64}`, Expected: "the name of a role, without its path", Usage: "with --live: the role to assume in each of --accounts"},
		{Name: "accounts", Value: "FILE", File: true, Usage: "with --role-name: a file with one account number a line; default: read.aws of the map"},
		{Name: "asset-scope", Value: "SCOPE", Pattern: `(organizations|folders)/\d+|projects/[a-z0-9:.-]+`, Expected: "organizations/NUMBER, folders/NUMBER or projects/PROJECT",
			Usage: "with --live: search Cloud Asset Inventory there instead of each service account"},
		{Name: "now", Value: "TIME", Usage: "the time to judge at, such as 2026-11-22T23:00:00Z; default: now"},
	}, outputOptions()...)
}

func driftUsage(program string) string {
	return "Usage: " + program + ` drift [FLAG…] [FILE…]

Compares who gets in, as the files say that it is deployed, with who should, as the access map says. It compares sets of
steps and never texts. Each difference has a witness: claims that check --claims confirms. Files are those that check takes.

Flags:

` + cli.Describe(driftOptions()) + `
Exit status: 0 no difference of severity error; 1 otherwise; 2 the map or a file has a mistake or cannot be read, or the
command line is wrong. (terraform plan -detailed-exitcode has 1 and 2 the other way round.) Only --live sends anything.

` + cli.DescribeVariables([]config.Group{LiveVariables()}) + "Each has what login left in OUTPUT_DIR for its default.\n"
}

func runDrift(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	now := a.Moment("now", time.Now())
	m, source := readMap(ctx, a)
	files := readFiles(ctx, a, a.Files)
	out := readOutput(ctx, c, a)
	reads := liveConfig(ctx, c, a, m)
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	given := inventory.Given{Files: files, Map: m}
	if a.Given("live") {
		given.Readings = live.Read(ctx, reads)
	}
	state, err := inventory.Read(ctx, given, drift.Universe(m, now))
	if err != nil {
		return c.Fail(unknownKinds(err), cli.Misused)
	}
	differences := drift.Compare(m, state, now)
	lastUsed(ctx, reads, differences)
	return out.put(ctx, c, compared{m, source, state, differences, now}.report(c.Version))
}

// universeOf is the workspace that flags name, or the only one that the files name.
func universeOf(a *cli.Arguments, files []trust.File) (bitbucket.Universe, error) {
	var u bitbucket.Universe
	slug, uuid := a.Text("workspace"), a.Text("workspace-uuid")
	if (slug == "") != (uuid == "") {
		return u, hint.New("incomplete workspace", "give both --workspace and --workspace-uuid, or neither")
	}
	if slug == "" {
		slugs, uuids := inventory.Workspaces(files)
		if len(slugs) != 1 || len(uuids) != 1 {
			return u, hint.New(fmt.Sprintf("the files name %d workspaces and %d workspace UUIDs", len(slugs), len(uuids)), "name one with --workspace and --workspace-uuid")
		}
		slug, uuid = slugs[0], uuids[0]
	}
	w := access.Workspace{Slug: slug, UUID: bitbucket.Braced(uuid)}
	return bitbucket.Universe{Issuer: w.Issuer(), WorkspaceUUID: w.UUID}, nil
}
