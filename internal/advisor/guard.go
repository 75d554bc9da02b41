package advisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/guard/rules"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/process"
	"bitbucket-oidc/internal/report"
)

func guardCommand() cli.Command {
	return cli.Command{Name: "guard", Usage: guardUsage, Options: guardOptions(), Run: runGuard}
}

func guardOptions() []cli.Option {
	return []cli.Option{
		{Name: "format", Value: "FORMAT", Pattern: "text|json", Expected: "text or json", Usage: "text (the default) or json"},
		{Name: "records", Value: "FILE", File: true, Many: true, Usage: "records of logins, one JSON value a line (replay)"},
		{Name: "no-exit-code", Usage: "exit 0 also where a test fails or a login would have been refused"},
	}
}

func guardUsage(program string) string {
	return "Usage: " + program + ` guard test FILE
       ` + program + ` guard input
       ` + program + ` guard replay --records FILE… FILE

Guardrails are named rules that a login must meet before a credential exists.

  test    run the tests in a file of guardrails, and list its rules: which are advisory, and who else holds them
  input   print what the rules would see in this step, as JSON
  replay  say which recorded logins a file of guardrails would have refused

Flags:

` + cli.Describe(guardOptions()) + `
Exit status: 0 every test passes, or no login would have been refused; 1 otherwise; 2 a file cannot be read or has a
mistake, or the command line is wrong. It never sends anything.
`
}

func runGuard(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	verb := ""
	if len(a.Files) > 0 {
		verb = a.Files[0]
	}
	switch verb {
	case "test":
		return guardTest(ctx, c, a)
	case "replay":
		return guardReplay(ctx, c, a)
	case "decide": // asked by pipe
		return guardDecide(ctx, c)
	case "input": // pipe knows the clouds
		if len(a.Files) > 1 {
			a.Add(hint.New("guard input takes no file", "see bitbucket-oidc guard --help"))
			return c.Fail(a.Err(), cli.Misused)
		}
		return c.Fail(process.BecomeNeighbour(cli.Pipe, []string{"guard", "input"}), cli.Misused)
	}
	a.Add(hint.New("guard takes test, input or replay", "see bitbucket-oidc guard --help"))
	return c.Fail(a.Err(), cli.Misused)
}

// guardFile reads the only file after the verb.
func guardFile(ctx context.Context, a *cli.Arguments) *rules.File {
	if len(a.Files) != 2 {
		a.Add(hint.New("guard "+a.Files[0]+" takes one file of guardrails", "see bitbucket-oidc guard --help"))
		return nil
	}
	return readGuardrails(ctx, a, a.Files[1])
}

// readGuardrails reads a file of guardrails. It is nil if something is wrong with the file, which is then a problem of a.
func readGuardrails(ctx context.Context, a *cli.Arguments, name string) *rules.File {
	data, err := cli.ReadFile(ctx, name)
	if err != nil {
		a.Add(err)
		return nil
	}
	f, err := rules.Read(name, data)
	a.Add(err)
	return f
}

// A guardedRule is a rule as test lists it.
type guardedRule struct {
	Name     string `json:"name"`
	Action   string `json:"action"`
	Advisory bool   `json:"advisory"`
	After    bool   `json:"after"` // judged after the exchange
	HeldBy   string `json:"heldBy"`
}

// A guardedTest is a test as it ended.
type guardedTest struct {
	Name   string   `json:"name"`
	Passed bool     `json:"passed"`
	Wrong  []string `json:"wrong"`
}

func guardTest(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	f := guardFile(ctx, a)
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	listed, tests, failed := []guardedRule{}, []guardedTest{}, 0
	for _, r := range f.Rules {
		listed = append(listed, guardedRule{r.Name, string(r.Action), r.Advisory(), r.After(), r.HeldBy()})
	}
	for _, t := range f.Tests {
		wrong := append([]string{}, f.Run(ctx, t)...)
		if len(wrong) > 0 {
			failed++
		}
		tests = append(tests, guardedTest{t.Name, len(wrong) == 0, wrong})
	}
	if a.Text("format") == "json" {
		c.Lines(document.Indented(struct {
			Version int           `json:"version"`
			File    string        `json:"file"`
			Rules   []guardedRule `json:"rules"`
			Tests   []guardedTest `json:"tests"`
		}{1, f.Name, listed, tests}))
	} else {
		c.Lines(guardTestText(f, listed, tests, failed))
	}
	if failed > 0 && !a.Given("no-exit-code") {
		return cli.Failed
	}
	return cli.Done
}

func guardTestText(f *rules.File, listed []guardedRule, tests []guardedTest, failed int) string {
	lines := []string{fmt.Sprintf("%s: %s, %s, %d failed", f.Name, report.Count(len(listed), "rule"), report.Count(len(tests), "test"), failed)}
	for _, r := range listed {
		line := fmt.Sprintf("  %-5s %s: held by %s as well", r.Action, r.Name, r.HeldBy)
		if r.HeldBy == rules.HeldByNobody {
			line = fmt.Sprintf("  %-5s %s: held by nobody else", r.Action, r.Name)
		}
		if r.After {
			line += "; judged after the exchange"
		}
		if r.Advisory {
			line += "; advisory: whoever writes the pipeline can change what it reads"
		}
		lines = append(lines, line)
	}
	if len(tests) == 0 {
		lines = append(lines, "  The file has no tests.")
	}
	for _, t := range tests {
		if t.Passed {
			lines = append(lines, "✔ "+t.Name)
			continue
		}
		lines = append(lines, "✖ "+t.Name)
		for _, wrong := range t.Wrong {
			lines = append(lines, "  "+wrong)
		}
	}
	return strings.Join(lines, "\n")
}

// guardDecide answers pipe. Its standard output is the answer alone.
func guardDecide(ctx context.Context, c *cli.Console) int {
	data, err := cli.ReadFile(ctx, "-")
	if err != nil {
		return c.Fail(err, cli.Failed)
	}
	var q guard.Question
	if err := json.Unmarshal(data, &q); err != nil || q.Nonce == "" {
		return c.Fail(errors.New("guard decide: standard input has no question"), cli.Failed)
	}
	c.Print(document.Tight(rules.Answer(ctx, q)))
	return cli.Done
}
