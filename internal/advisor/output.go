package advisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/insights"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/visible"
)

// outputOptions are the flags of every command that has findings.
func outputOptions() []cli.Option {
	var names, says []string
	for _, f := range report.Formats() {
		names = append(names, f.Name)
		says = append(says, f.Name+" ("+f.Says+")")
	}
	last := len(names) - 1
	return []cli.Option{
		{
			Name: "format", Value: "FORMAT", Many: true, Pattern: strings.Join(names, "|"), Expected: oneOf(names), Usage: oneOf(says),
		},
		{Name: "output", Value: "FILE", Many: true, Usage: "where the format goes; the " + names[last] + " after it, and so on; without it: standard output"},
		{Name: "accept", Value: "FILE", File: true, Usage: "a YAML list of findings to accept: {id, until, why}"},
		{Name: "baseline", Value: "FILE", File: true, Usage: "an earlier report in JSON: only what is new decides the exit status"},
		{Name: "insights", Usage: "publish the report on the commit as well, with annotations (Bitbucket Code Insights)"},
		{Name: "strict", Usage: "warnings, and what is undecided, count as errors"},
		{Name: "no-exit-code", Usage: "exit 0 also where there are errors"},
	}
}

// oneOf lists alternatives.
func oneOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// An output is where a report goes, as the command line says.
type output struct {
	writes   []written
	accepted []listed
	baseline []byte
	insights *insights.Config // nil for not at all
	a        *cli.Arguments
}

// A written is one form of the report, in a file, or on standard output where the name is empty.
type written struct {
	format report.Format
	file   string
}

// A listed is a list of accepted findings.
type listed struct {
	name    string
	data    []byte
	entries []accept.Entry
}

// readOutput reads the flags of [outputOptions] and the files that they name. Problems go to a.
func readOutput(ctx context.Context, c *cli.Console, a *cli.Arguments) output {
	o := output{a: a, writes: writes(a)}
	if name := a.Text("accept"); name != "" {
		data, err := cli.ReadFile(ctx, name)
		if err == nil || errors.Is(err, cli.ErrEmpty) { // nothing is accepted
			var entries []accept.Entry
			entries, err = accept.Read(data)
			o.accepted = append(o.accepted, listed{name, data, entries})
			err = named(name, err)
		}
		a.Add(err)
	}
	if name := a.Text("baseline"); name != "" {
		var err error
		if o.baseline, err = cli.ReadFile(ctx, name); err == nil {
			err = named(name, (&report.Report{}).Compare(o.baseline))
		}
		a.Add(err)
	}
	if a.Given("insights") {
		to := insightsConfig(c, a)
		o.insights = &to
	}
	return o
}

// named names the file in each problem with it.
func named(name string, err error) error {
	var all []error
	for _, failure := range hint.Failures(err) {
		all = append(all, fmt.Errorf("%s: %w", name, failure))
	}
	return errors.Join(all...)
}

// writes pairs formats with files, in the order of the command line. The last pair may lack its file.
func writes(a *cli.Arguments) []written {
	var pairs []map[string]string
	for _, f := range a.Sequence("format", "output") {
		last := len(pairs) - 1
		if last < 0 || pairs[last][f.Name] != "" {
			pairs, last = append(pairs, map[string]string{}), last+1
		}
		pairs[last][f.Name] = f.Value
	}
	if len(pairs) == 0 {
		pairs = []map[string]string{{}}
	}
	formats := report.Formats()
	var all []written
	dashed := false
	for i, pair := range pairs {
		name, file := pair["format"], pair["output"]
		if file == "-" { // standard output
			file, dashed = "", true
		}
		switch {
		case pair["output"] == "" && i < len(pairs)-1:
			a.Add(hint.New("--format "+name+": it has no --output", "give each --format but the last its --output FILE behind it"))
		case name == "" && len(pairs) > 1:
			a.Add(hint.New("--output "+visible.Text(pair["output"])+": it has no --format", "give each --output its --format before it"))
		case file != "" && slices.Contains(a.Files, file):
			a.Add(hint.New("--output "+visible.Text(file)+": a file that is read", "write the report into another file"))
		case (file != "" || dashed) && slices.ContainsFunc(all, func(w written) bool { return w.file == file }):
			a.Add(hint.New("--output "+visible.Text(cmp.Or(file, "-"))+": given twice", "write each format into a file of its own"))
		}
		at := max(0, slices.IndexFunc(formats, func(f report.Format) bool { return f.Name == name }))
		all = append(all, written{formats[at], file})
	}
	return all
}

// put settles a report, writes it in every form that is asked for, and returns the exit status.
func (o output) put(ctx context.Context, c *cli.Console, r *report.Report) int {
	r.Strict, r.Origin = o.a.Given("strict"), origin(o.a.Vars)
	for _, list := range o.accepted {
		r.Accept(list.name, list.data, list.entries)
	}
	if o.baseline != nil {
		if err := r.Compare(o.baseline); err != nil {
			return c.Fail(err, cli.Misused) // cannot be: readOutput has tried
		}
	}
	var errs []error
	printed := false
	for _, w := range o.writes {
		if w.file != "" {
			errs = append(errs, cli.WriteFile(ctx, "output", w.file, w.format.Write(r, false)+"\n"))
			continue
		}
		printed = true
		c.Print(w.format.Write(r, c.Colours(o.a.Vars)))
	}
	if err := errors.Join(errs...); err != nil {
		return c.Fail(err, cli.Misused)
	}
	if o.insights != nil {
		publish(ctx, c, *o.insights, o.a.Vars, r)
	}
	if !r.Failed() {
		return cli.Done
	}
	if !printed { // the log of a step that fails says why
		c.Fail(errors.New(strings.TrimPrefix(r.Summary(), "✖ ")), cli.Failed)
	}
	if o.a.Given("no-exit-code") {
		return cli.Done
	}
	return cli.Failed
}

// origin is the commit that the step's variables name.
func origin(v *config.Vars) report.Origin {
	o := report.Origin{Commit: v.Commit, Branch: v.Branch}
	if v.Workspace != "" && v.RepositorySlug != "" {
		o.Repository = "https://bitbucket.org/" + v.Workspace + "/" + v.RepositorySlug
	}
	return o
}
