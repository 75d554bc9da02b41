package advisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/live"
	"bitbucket-oidc/internal/trust"
)

func driftCommand() cli.Command {
	return cli.Command{Name: "drift", Usage: driftUsage, Options: driftOptions(), Run: runDrift}
}

func driftOptions() []cli.Option {
	return []cli.Option{
		mapFlag(),
		{Name: "format", Value: "FORMAT", Pattern: "text|json", Expected: "text or json", Usage: "text (the default) or json"},
		targetOption(),
		{Name: "live", Usage: "read the clouds as well, with the credentials that login left; nothing is changed there"},
		{Name: "role-name", Value: "NAME", Pattern: `[\w+=,.@-]{1,64}`, Expected: "the name of a role, without its path", Usage: "with --live: the role to assume in each of --accounts"},
		{Name: "accounts", Value: "FILE", File: true, Usage: "with --role-name: a file with one account number a line; default: read.aws of the map"},
		{Name: "asset-scope", Value: "SCOPE", Pattern: `(organizations|folders)/\d+|projects/[a-z0-9:.-]+`, Expected: "organizations/NUMBER, folders/NUMBER or projects/PROJECT",
			Usage: "with --live: search Cloud Asset Inventory there in place of each service account"},
		{Name: "now", Value: "TIME", Usage: "the time at which grants are looked at; default: now"},
		{Name: "strict", Usage: "warnings and what is undecided count as errors"},
		{Name: "no-exit-code", Usage: "exit 0 also where something differs"},
	}
}

func driftUsage(program string) string {
	return "Usage: " + program + ` drift [FLAG…] [FILE…]

Compares who gets in, as the files say that it is deployed, with who should, as the access map says. It compares sets of
steps and never texts. Each difference has a witness: claims that check --claims confirms. Files are those that check takes.

Flags:

` + cli.Describe(driftOptions()) + `
Exit status: 0 no difference of severity error; 1 otherwise; 2 the map or a file has a mistake or cannot be read, or the
command line is wrong. (terraform plan -detailed-exitcode has 1 and 2 the other way round.) Only --live sends anything.

` + cli.DescribeVariables([]config.Group{liveVariables()}) + "Each has what login left in OUTPUT_DIR for its default.\n"
}

func runDrift(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	now := a.Moment("now", time.Now())
	m := readMap(ctx, a)
	files := readFiles(ctx, a)
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
	if a.Text("format") == "json" {
		c.Lines(document.Indented(driftJSON(m, state, differences, now)))
	} else {
		c.Lines(driftText(m, state, differences))
	}
	if failing := slices.ContainsFunc(differences, func(d drift.Difference) bool {
		return d.Severity == finding.Error || a.Given("strict") && (d.Severity == finding.Warning || d.Kind == drift.Undecided)
	}); failing && !a.Given("no-exit-code") {
		return cli.Failed
	}
	return cli.Done
}

func driftJSON(m *access.Map, s drift.State, differences []drift.Difference, now time.Time) any {
	type file struct {
		File   string `json:"file"`
		SHA256 string `json:"sha256"`
	}
	return struct {
		Version     int                `json:"version"`
		Map         file               `json:"map"`
		At          string             `json:"at"`
		Read        []drift.Source     `json:"read"`
		Differences []drift.Difference `json:"differences"`
		Accepted    []drift.Difference `json:"accepted"`
	}{1, file{m.File, m.SHA256}, now.UTC().Format(time.RFC3339), append([]drift.Source{}, s.Sources...), append([]drift.Difference{}, differences...), []drift.Difference{}}
}

func driftText(m *access.Map, s drift.State, differences []drift.Difference) string {
	count := map[drift.Kind]int{}
	errs := 0
	for _, d := range differences {
		count[d.Kind]++
		if d.Severity == finding.Error {
			errs++
		}
	}
	trusting := 0
	for _, source := range s.Sources {
		trusting += source.Bitbucket
	}
	lines := []string{fmt.Sprintf("%s: %d targets, %d of %d in %d sources trust Bitbucket; %d differences (%d errors), %d undecided",
		m.File, len(m.Targets()), trusting, len(s.Targets), len(s.Sources), len(differences)-count[drift.Undecided], errs, count[drift.Undecided])}
	for _, d := range differences {
		mark := map[finding.Severity]string{finding.Error: "✖", finding.Warning: "⚠", finding.Note: "○"}[d.Severity]
		lines = append(lines, "", fmt.Sprintf("%s %s: %s", mark, d.Kind, d.Target), "  "+d.Message)
		if d.Share != nil {
			lines = append(lines, fmt.Sprintf("  share of the UUIDs that get in: 1 in %.0f", 1 / *d.Share))
		}
		if d.Witness != nil {
			lines = append(lines, "  such as "+fmt.Sprint(d.Witness["sub"]))
		}
		if d.LastUsed != "" {
			lines = append(lines, "  last used: "+d.LastUsed)
		}
		lines = append(lines, fmt.Sprintf("  %s:%d:%d %s", d.File, d.Line, d.Column, d.ID), "  fix: "+strings.ReplaceAll(d.Fix.Text, "\n", "\n  "))
	}
	return strings.Join(lines, "\n")
}

// readNamed reads files that a command names, and at least one.
func readNamed(ctx context.Context, a *cli.Arguments, names []string) []trust.File {
	if len(names) == 0 {
		a.Add(hint.New("no file to read", "give at least one of these:\n"+strings.TrimRight(documentKinds, "\n")))
	}
	var files []trust.File
	for _, name := range names {
		data, err := cli.ReadFile(ctx, name)
		a.Add(err)
		files = append(files, trust.File{Name: name, Data: data})
	}
	return files
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
