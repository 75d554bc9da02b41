package advisor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/evidence"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/report"
)

func evidenceCommand() cli.Command {
	return cli.Command{Name: "evidence", Usage: evidenceUsage, Options: evidenceOptions(), Run: runEvidence}
}

func evidenceOptions() []cli.Option {
	return []cli.Option{
		{Name: "records", Value: "FILE", Many: true, File: true, Usage: "records of logins, one JSON value a line, or that compressed by gzip"},
		{Name: "from", Value: "DATE", Usage: "the first day of the period, in UTC"},
		{Name: "to", Value: "DATE", Usage: "the last day of the period"},
		{Name: "out", Value: "DIR", Usage: "the folder of the package: a new one, or one with an earlier package in it"},
		{Name: "sample", Value: "N", Pattern: `[0-9]{1,9}`, Expected: "a number", Usage: "how many records to draw; 25 without it"},
		{Name: "seed", Value: "TEXT", Usage: "what the draw depends on, chosen by the auditor; bitbucket-oidc without it"},
		{Name: "cloudtrail", Value: "FILE", Many: true, File: true, Usage: "log files of CloudTrail: what only one of the two has is an exception"},
	}
}

func evidenceUsage(program string) string {
	return "Usage: " + program + ` evidence --records FILE… --from DATE --to DATE --out DIR [FLAG…]

Turns records of logins into a package for an auditor: the population, samples, exceptions, how the information was
produced, the controls that it supports evidence for, a report, assessment results of OSCAL, and a manifest. The same
input gives the same bytes.

Flags:

` + cli.Describe(evidenceOptions()) + `
Exit status: 0 the package is written, with exceptions too; 1 TIMEOUT, which bounds it, ran out; 2 a file cannot be read,
the package cannot be written, or the command line is wrong. It never sends anything.
`
}

func runEvidence(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	stdin, _ := c.Streams()
	config := evidence.Config{
		Version: c.Version, Stdin: stdin, Records: append(a.Texts("records"), a.Files...), CloudTrail: a.Texts("cloudtrail"),
		From: dayOf(a, "from"), To: dayOf(a, "to"), Out: a.Text("out"), Seed: "bitbucket-oidc", Sample: 25,
	}
	for _, name := range []string{"records", "from", "to", "out"} {
		if !a.Given(name) {
			a.Wrong(name, "missing")
		}
	}
	if a.Given("seed") {
		config.Seed = a.Text("seed")
	}
	if a.Given("sample") {
		config.Sample, _ = strconv.Atoi(a.Text("sample"))
	}
	if a.Given("from") && a.Given("to") && config.To.Before(config.From) {
		a.Wrong("to", "before --from")
	}
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	summary, err := evidence.Write(ctx, config)
	switch {
	case ctx.Err() != nil:
		return c.Fail(hint.New("evidence: "+cli.Ended(ctx, "not finished before TIMEOUT ran out"), "raise TIMEOUT; no file was changed"), cli.Failed)
	case err != nil:
		return c.Fail(err, cli.Misused)
	}
	c.Lines(fmt.Sprintf("✔ %s and %s in %s", report.Count(summary.Rows, "record"), report.Count(summary.Exceptions, "exception"), config.Out))
	if summary.Rows == 0 {
		c.Warn(fmt.Sprintf("no record lies in the period, and %d outside of it: nothing was examined", summary.Outside))
	}
	if summary.Malformed > 0 {
		c.Warn(report.Count(summary.Malformed, "line") + " without a record: ipe.json says which")
	}
	if summary.Gaps > 0 {
		c.Warn(report.Count(summary.Gaps, "command") + " with a gap in the numbers of the records: ipe.json says which")
	}
	return cli.Done
}

// dayOf is the beginning of a day in UTC.
func dayOf(a *cli.Arguments, name string) time.Time {
	if !a.Given(name) {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, a.Text(name))
	if err != nil {
		a.Wrong(name, "expected a day such as 2026-11-28")
	}
	return day
}
