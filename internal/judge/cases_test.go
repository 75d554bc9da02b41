package judge

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

var findings = flag.Bool("findings", false, "write what is found into the cases of the rules, to be read over")

// found is what the product finds in a case: its documents are judged together, for a step whose claims the file "identity" changes.
func found(t *testing.T, c findingtest.Case) []finding.Finding {
	t.Helper()
	var files []trust.File
	for _, f := range c.Without("identity", "findings") {
		files = append(files, trust.File{Name: f.Name, Data: f.Data})
	}
	documents, err := Read(files)
	if err != nil {
		t.Fatalf("%s: %v", c.Title, err)
	}
	var all []finding.Finding
	for _, r := range documents.Judge(trusttest.ClaimsWith(t, string(c.File("identity"))), trusttest.Options()) {
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

// TestRules: each rule finds what its cases say, and nothing in its traps and mended cases. With -findings it writes what it found
// into the cases.
func TestRules(t *testing.T) {
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			path := ruleFile(rule.Name)
			cases, _ := findingtest.Cases(t, path, "")
			for _, kind := range []string{findingtest.Found, findingtest.Trap} {
				if !slices.ContainsFunc(cases, func(c findingtest.Case) bool { return c.Kind == kind }) {
					t.Errorf("%s has no case %q", path, kind)
				}
			}
			for _, c := range cases {
				all := found(t, c)
				want := c.Kind == findingtest.Found
				if got := slices.ContainsFunc(all, func(f finding.Finding) bool { return f.Rule == rule.Name }); got != want {
					t.Errorf("%s: found: %t, want %t:\n%s", c.Title, got, want, lines(all))
				}
				if got := lines(all); got != string(c.File("findings")) && !*findings {
					t.Errorf("%s: found\n%swant\n%s", c.Title, got, c.File("findings"))
				}
			}
			if *findings {
				writeFindings(t, path, cases)
			}
		})
	}
}

// writeFindings writes what is found into the cases of an archive.
func writeFindings(t *testing.T, path string, cases []findingtest.Case) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range archive.Files {
		if strings.HasSuffix(file.Name, "/findings") {
			archive.Files[i].Data = []byte(lines(found(t, cases[0])))
			cases = cases[1:]
		}
	}
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
