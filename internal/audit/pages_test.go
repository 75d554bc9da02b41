package audit_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"

	"github.com/rogpeppe/go-internal/txtar"
)

var pages = flag.String("pages", "", "write the pages of the rules to this file")

// TestPages holds docs/audit-rules.md to the rules' own texts and cases. With -pages=../../docs/audit-rules.md it writes the file.
func TestPages(t *testing.T) {
	want := render(t)
	if *pages != "" {
		if err := os.WriteFile(*pages, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("../../docs/audit-rules.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/audit-rules.md is not of these rules (%v): go test ./internal/audit -run TestPages -pages=../../docs/audit-rules.md", err)
	}
}

func render(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`# Rules of audit

What ` + "`bitbucket-oidc audit`" + ` finds in bitbucket-pipelines.yml. An error ends it with status 1; with ` + "`--strict`" + ` a warning does as well.
[audit.md](audit.md) says how to accept a finding. The examples are the tests of the rules: the rule finds the lines that end in
` + "`#!`" + `, and nothing in the second file of each page. What is not confirmed is [listed](not-confirmed.md).

Written by: go test ./internal/audit -run TestPages -pages=../../docs/audit-rules.md

| Rule | Severity | Finds |
|---|---|---|
`)
	for _, r := range append(audit.Rules(), judges.Rules()...) {
		severity := string(r.Severity)
		if r.Milder != "" {
			severity += ", or " + string(r.Milder)
		}
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", r.Name, r.Name, severity, r.Finds)
	}
	for _, r := range append(audit.Rules(), judges.Rules()...) {
		fmt.Fprintf(&b, "\n## %s\n\nFinds %s.\n\n%s\n", r.Name, r.Finds, r.Why)
		archive, err := txtar.ParseFile(filepath.Join("testdata", r.Name+".txtar"))
		if err != nil {
			archive, err = txtar.ParseFile(filepath.Join("judges", "testdata", r.Name+".txtar"))
		}
		if err == nil {
			example(&b, archive, "found ", "Found")
			example(&b, archive, "trap ", "Not found")
			for _, file := range archive.Files {
				if !strings.Contains(file.Name, " ") { // what the steps are judged against
					fmt.Fprintf(&b, "\nBoth judged with %s:\n\n```%s\n%s```\n", file.Name, strings.TrimPrefix(filepath.Ext(file.Name), "."), file.Data)
				}
			}
		}
		fix := r.Fix
		if strings.HasPrefix(fix, "oidc: ") {
			fix = "write `" + fix + "`."
		}
		fmt.Fprintf(&b, "\nFix: %s\n", fix)
	}
	return b.Bytes()
}

// example writes the first file of a kind.
func example(b *bytes.Buffer, archive *txtar.Archive, kind, title string) {
	for _, file := range archive.Files {
		if name, ok := strings.CutPrefix(file.Name, kind); ok {
			fmt.Fprintf(b, "\n%s: %s\n\n```yaml\n%s```\n", title, name, file.Data)
			return
		}
	}
}
