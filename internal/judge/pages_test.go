package judge

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

var (
	pages    = flag.String("pages", "", "write the pages of the rules to this file")
	findings = flag.Bool("findings", false, "write what is found into the cases of the rules, to be read over")
)

// A ruleCase is a situation of a rule's file: documents that are judged together for one identity, and what is found in them.
type ruleCase struct {
	found     bool // the rule finds something; else the case is a trap, in which it must not
	title     string
	identity  string // changes to the claims of a step; empty for none
	documents []trust.File
	want      string // a line for each finding: severity, rule, and file:line:column
}

// casesOf reads the file of a rule: for each file of a case, "found" or "trap", a title and a name, joined by slashes.
func casesOf(t *testing.T, path string) (archive *txtar.Archive, cases []*ruleCase) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.Files {
		parts := strings.Split(file.Name, "/")
		if len(parts) != 3 || parts[0] != "found" && parts[0] != "trap" {
			t.Fatalf("%s: %s is not found/TITLE/FILE or trap/TITLE/FILE", path, file.Name)
		}
		if last := len(cases) - 1; last < 0 || cases[last].title != parts[1] {
			cases = append(cases, &ruleCase{found: parts[0] == "found", title: parts[1]})
		}
		c := cases[len(cases)-1]
		switch parts[2] {
		case "identity":
			c.identity = string(file.Data)
		case "findings":
			c.want = string(file.Data)
		default:
			c.documents = append(c.documents, trust.File{Name: parts[2], Data: file.Data})
		}
	}
	return archive, cases
}

// judge is what the product finds in a case.
func (c *ruleCase) judge(t *testing.T) []finding.Finding {
	t.Helper()
	documents, err := Read(c.documents)
	if err != nil {
		t.Fatalf("%s: %v", c.title, err)
	}
	var all []finding.Finding
	for _, r := range documents.Judge(trusttest.ClaimsWith(t, c.identity), trusttest.Options()) {
		all = append(all, r.Findings...)
	}
	return all
}

// lines are findings in the form of a case's list.
func lines(all []finding.Finding) string {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%s %s %s:%d:%d\n", f.Severity, f.Rule, f.File, f.Line, f.Column)
	}
	return b.String()
}

// ruleFile is where the cases of a rule are: beside its detection.
func ruleFile(rule string) string {
	name, _, _ := strings.Cut(rule, "-")
	return filepath.Join("..", "trust", map[string]string{"aws": "iam", "gcp": "wif", "vault": "vaultrole"}[name], "testdata", rule+".txtar")
}

// TestRules: each rule finds what its cases say, and nothing in its traps. With -findings it writes what it found into the cases.
func TestRules(t *testing.T) {
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			path := ruleFile(rule.Name)
			archive, cases := casesOf(t, path)
			for _, found := range []bool{true, false} {
				if !slices.ContainsFunc(cases, func(c *ruleCase) bool { return c.found == found }) {
					t.Errorf("%s has no case with found: %t", path, found)
				}
			}
			for _, c := range cases {
				all := c.judge(t)
				if got := slices.ContainsFunc(all, func(f finding.Finding) bool { return f.Rule == rule.Name }); got != c.found {
					t.Errorf("%s: found: %t, want %t:\n%s", c.title, got, c.found, lines(all))
				}
				if got := lines(all); got != c.want && !*findings {
					t.Errorf("%s: found\n%swant\n%s", c.title, got, c.want)
				}
				c.want = lines(all)
			}
			if !*findings {
				return
			}
			next := cases
			for i, file := range archive.Files {
				if strings.HasSuffix(file.Name, "/findings") {
					archive.Files[i].Data = []byte(next[0].want)
					next = next[1:]
				}
			}
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestPages holds docs/rules.md to the rules' own texts and cases. With -pages=../../docs/rules.md it writes the file.
func TestPages(t *testing.T) {
	want := render(t)
	if *pages != "" {
		if err := os.WriteFile(*pages, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("../../docs/rules.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/rules.md is not of these rules (%v): run make docs", err)
	}
}

func render(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`# Rules

What ` + "`bitbucket-oidc check`" + ` finds in a trust configuration. ` + "`error`" + `: it never works, or lets in whom it should not; ` + "`warning`" + ` and
` + "`note`" + ` do not change the exit status. ` + "`pipe explain`" + ` prints configurations in which none of the errors and warnings is found.

The examples are the tests of the rules, written here by ` + "`make docs`" + `. Each is judged for a step of the repository ` +
		"`" + trusttest.Repository + "`" + `
in the workspace ` + "`acme`" + `; those for AWS are on a deployment to ` + "`" + trusttest.Environment + "`" + `.

| Rule | Severity | Finds |
|---|---|---|
`)
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", r.Name, r.Name, severity(r), r.Finds)
	}
	for _, r := range Rules() {
		title := severity(r)
		fmt.Fprintf(&b, "\n## %s\n\n%s: %s.\n\n%s\n", r.Name, strings.ToUpper(title[:1])+title[1:], r.Finds, r.Why)
		_, cases := casesOf(t, ruleFile(r.Name))
		for _, found := range []bool{true, false} {
			if i := slices.IndexFunc(cases, func(c *ruleCase) bool { return c.found == found }); i >= 0 {
				cases[i].show(t, &b, r)
			}
		}
		fmt.Fprintf(&b, "\nFix: %s\n", r.Fix)
	}
	return b.Bytes()
}

func severity(r finding.Rule) string {
	if r.Milder != "" {
		return string(r.Severity) + ", or " + string(r.Milder)
	}
	return string(r.Severity)
}

// show writes a case, with what the rule says of it.
func (c *ruleCase) show(t *testing.T, b *bytes.Buffer, r finding.Rule) {
	t.Helper()
	fmt.Fprintf(b, "\n%s: %s\n", map[bool]string{true: "Found", false: "Not found"}[c.found], c.title)
	for _, d := range c.documents {
		fmt.Fprintf(b, "\n```json\n%s```\n", d.Data)
	}
	for _, f := range c.judge(t) {
		if f.Rule == r.Name {
			fmt.Fprintf(b, "\nLine %d: %s\n", f.Line, cmp.Or(f.Message, r.Finds))
			return
		}
	}
}
