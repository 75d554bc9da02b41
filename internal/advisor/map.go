package advisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/report"
)

func mapCommand() cli.Command {
	return cli.Command{Name: "map", Usage: mapUsage, Options: mapOptions(), Run: runMap}
}

func mapFlag() cli.Option {
	return cli.Option{Name: "map", Value: "FILE", File: true, Usage: "the access map; default " + access.DefaultFile}
}

func mapOptions() []cli.Option {
	return []cli.Option{
		mapFlag(),
		{Name: "format", Value: "FORMAT", Pattern: "json|terraform|gcloud|vault|rcp", Expected: "json, terraform, gcloud, vault or rcp",
			Usage: "of render: json (the default), terraform, gcloud, vault, or rcp (a resource control policy)"},
		targetOption(),
		{Name: "workspace", Value: "SLUG", Usage: "of init: the workspace, as in bitbucket.org/SLUG"},
		{Name: "workspace-uuid", Value: "UUID", Usage: "of init: its UUID"},
		{Name: "now", Value: "TIME", Usage: "the time to judge grants at; default: now"},
	}
}

func mapUsage(program string) string {
	return "Usage: " + program + ` map check
       ` + program + ` map render [--format FORMAT] [TARGET…]
       ` + program + ` map init FILE…

The access map says in names that people know who may become what.

  check   report every mistake of the map
  render  print the policies that let in exactly the steps that the map names
  init    print a first map, from what the clouds' tools print of what is deployed; with --map FILE also write it there,
          where no file is yet

Flags:

` + cli.Describe(mapOptions()) + `
Exit status: 0 done; 1 a cloud would not store what the map says; 2 the map or a file has a mistake or cannot be read, or
the command line is wrong. It never sends anything.
`
}

func runMap(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	now := a.Moment("now", time.Now())
	verb, rest := "", []string(nil)
	if len(a.Files) > 0 {
		verb, rest = a.Files[0], a.Files[1:]
	}
	for _, flag := range []struct{ name, of string }{{"format", "render"}, {"target", "init"}, {"workspace", "init"}, {"workspace-uuid", "init"}} {
		if a.Given(flag.name) && verb != flag.of {
			a.Wrong(flag.name, "only map "+flag.of+" takes it")
		}
	}
	switch verb {
	case "check":
		if len(rest) > 0 {
			a.Add(hint.New("too many arguments", "name the map with --map: see bitbucket-oidc map --help"))
			return c.Fail(a.Err(), cli.Misused) // the usual map may not be there
		}
		m, _ := readMap(ctx, a)
		if err := a.Err(); err != nil {
			return c.Fail(err, cli.Misused)
		}
		c.Lines(fmt.Sprintf("✔ %s: %s, %s of %s", m.File, report.Count(len(m.Repositories), "repository"), report.Count(len(m.Grants), "grant"), report.Count(len(m.Targets()), "target")))
		return cli.Done
	case "render":
		return renderMap(ctx, c, a, rest, now)
	case "init":
		return initMap(ctx, c, a, rest, now)
	}
	a.Add(hint.New("map takes check, render or init", "see bitbucket-oidc map --help"))
	return c.Fail(a.Err(), cli.Misused)
}

// readMap reads the map that a flag names, or the usual one. It also returns the text of the file.
func readMap(ctx context.Context, a *cli.Arguments) (*access.Map, []byte) {
	return readMapFile(ctx, a, cmp.Or(a.Text("map"), access.DefaultFile))
}

func readMapFile(ctx context.Context, a *cli.Arguments, name string) (*access.Map, []byte) {
	data, err := cli.ReadFile(ctx, name)
	if err != nil {
		a.Add(err)
		return nil, nil
	}
	m, err := access.Parse(name, data)
	a.Add(err)
	return m, data
}

func renderMap(ctx context.Context, c *cli.Console, a *cli.Arguments, targets []string, now time.Time) int {
	m, _ := readMap(ctx, a)
	if a.Text("format") == "rcp" && len(targets) > 0 {
		a.Add(hint.New("a resource control policy is about every target", "leave the targets out"))
	}
	if m != nil {
		for _, name := range targets {
			if !m.Names(name) {
				a.Add(hint.New(name+": no grant of the map names this target", "give a target as the map writes it"))
			}
		}
	}
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	if a.Text("format") == "rcp" {
		policy, err := m.RCP(now)
		if err != nil {
			return c.Fail(err, cli.Failed)
		}
		c.Lines(document.Indented(policy))
		return cli.Done
	}
	kind := map[string]access.Kind{"gcloud": access.ServiceAccount, "vault": access.VaultRole}[a.Text("format")]
	r, err := m.Render(targets, kind, now)
	if err != nil {
		return c.Fail(err, cli.Failed)
	}
	format := map[string]func() string{"": r.JSON, "json": r.JSON, "terraform": r.Terraform, "gcloud": r.Gcloud, "vault": r.Vault}[a.Text("format")]
	if text := format(); text != "" {
		c.Lines(text)
	} else {
		c.Warn("there is nothing to print: no such target has a grant")
	}
	for _, n := range r.Notes {
		c.Warn(n)
	}
	return cli.Done
}

// initMap prints a first map of what is deployed: review turns it into intent.
func initMap(ctx context.Context, c *cli.Console, a *cli.Arguments, names []string, now time.Time) int {
	files := readFiles(ctx, a, names)
	u, err := universeOf(a, files)
	a.Add(err)
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	u.Now = now
	state, err := inventory.Read(ctx, inventory.Given{Files: files}, u)
	if err != nil {
		return c.Fail(unknownKinds(err), cli.Misused)
	}
	text, left := drift.FirstMap(u, state, now)
	if a.Given("map") {
		if err := writeMap(ctx, c, a.Text("map"), text); err != nil {
			return c.Fail(err, cli.Misused)
		}
	}
	c.Lines(strings.TrimRight(text, "\n"))
	for _, l := range left {
		c.Warn(l)
	}
	for _, name := range state.Unnamed {
		c.Warn(name + ": it does not say whose policy it is, and the map has nothing of it: give it as --target NAME=FILE")
	}
	return cli.Done
}

// writeMap writes a first map. It does not replace one: somebody may have reviewed it.
func writeMap(ctx context.Context, c *cli.Console, name, text string) error {
	if name == "-" {
		return nil // it is printed
	}
	switch _, err := cli.ReadFile(ctx, name); {
	case err == nil || errors.Is(err, cli.ErrEmpty):
		c.Warn(name + ": it is there already, and was left as it is")
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return cli.WriteFile(ctx, "map", name, text)
}
