// Package findingtest holds rules to the form that makes them easy to find and to add.
package findingtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/finding"
)

// FileEach fails unless each rule of the package under test has one file named after it, without the word for its family:
// rule_sub_missing.go for aws-sub-missing. Each rule must also have one archive of cases, testdata/aws-sub-missing.txtar, and each such
// file must belong to a rule. Others are archives that belong to no rule.
func FileEach(t testing.TB, rules []finding.Rule, others ...string) {
	t.Helper()
	var sources, archives []string
	for _, r := range rules {
		source := "rule_" + strings.ReplaceAll(withoutFamily(r.Name), "-", "_") + ".go"
		sources = append(sources, source)
		text, err := os.ReadFile(source)
		if err != nil || strings.Count(string(text), "return finding.Rule{") != 1 || !strings.Contains(string(text), `Name: "`+r.Name+`"`) {
			t.Errorf("%s: not the texts of %s, and of no other rule (%v)", source, r.Name, err)
		}
		archives = append(archives, filepath.Join("testdata", r.Name+".txtar"))
	}
	for _, name := range others {
		archives = append(archives, filepath.Join("testdata", name+".txtar"))
	}
	same(t, "rule_*.go", sources)
	same(t, filepath.Join("testdata", "*.txtar"), archives)
}

// withoutFamily is the name of a rule without its family, which is the folder of the rule.
func withoutFamily(rule string) string {
	for _, family := range []string{"aws-", "gcp-", "vault-", "drift-"} {
		if rest, ok := strings.CutPrefix(rule, family); ok {
			return rest
		}
	}
	return rule
}

func same(t testing.TB, pattern string, want []string) {
	t.Helper()
	got, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s: missing: each rule has its own", name)
		}
	}
	for _, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("%s: belongs to no rule", name)
		}
	}
}
