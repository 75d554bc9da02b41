package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestRules reads testdata/RULE.txtar: files named "found …", in which the rule finds the lines that end in #! and no others,
// and files named "trap …", which look like it and in which the rule finds nothing.
func TestRules(t *testing.T) {
	for _, rule := range audit.Rules() {
		if slices.Contains([]string{"trust-refuses", "trust-admits-others", "document-unpaired", "map-not-granted", "guard-refuses", "accept-expired"}, rule.Name) {
			continue // package judges reads their cases, and only an entry of a list can expire: see package report
		}
		archive, err := txtar.ParseFile(filepath.Join("testdata", rule.Name+".txtar"))
		if err != nil {
			t.Error(err)
			continue
		}
		found, traps := 0, 0
		for _, file := range archive.Files {
			kind, _, _ := strings.Cut(file.Name, " ")
			switch kind {
			case "found":
				found++
			case "trap":
				traps++
			default:
				t.Errorf("%s: %q is neither found nor trap", rule.Name, file.Name)
			}
			t.Run(rule.Name+"/"+file.Name, func(t *testing.T) {
				want, got := marked(file.Data), map[int]bool{}
				if (kind == "found") != (len(want) > 0) {
					t.Fatal("the marks and the name disagree")
				}
				unmarked := bytes.ReplaceAll(file.Data, []byte(" #!\n"), []byte("\n")) // a mark is no reason of a comment that accepts
				for _, f := range audit.File("x.yml", unmarked, audit.Options{}).Findings {
					if f.Rule == rule.Name {
						got[f.Line] = true
						if f.Severity != rule.Severity && rule.Milder == "" && rule.Name != "token-in-clone" && rule.Name != "oidc-on-pull-request" {
							t.Errorf("severity %s", f.Severity)
						}
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("finds lines %v; want %v", got, want)
				}
			})
		}
		if found < 2 || traps < 2 {
			t.Errorf("%s has %d cases and %d traps", rule.Name, found, traps)
		}
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".txtar")
		if ok && name != "files" && !slices.ContainsFunc(audit.Rules(), func(r finding.Rule) bool { return r.Name == name }) {
			t.Errorf("testdata/%s is of no rule", f.Name())
		}
	}
}

func marked(data []byte) map[int]bool {
	lines := map[int]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasSuffix(line, "#!") {
			lines[i+1] = true
		}
	}
	return lines
}
