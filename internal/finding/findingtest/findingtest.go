// Package findingtest holds rules to the form that makes them easy to find and to add.
package findingtest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/finding"
)

// FileEach fails unless each rule of the package under test has one file named after it, without the name of its cloud:
// rule_sub_missing.go for aws-sub-missing. Each rule must also have one archive of cases, testdata/aws-sub-missing.txtar, and each such
// file must belong to a rule. Others are archives that belong to no rule.
func FileEach(t testing.TB, rules []finding.Rule, others ...string) {
	t.Helper()
	var sources, archives []string
	for _, r := range rules {
		sources = append(sources, "rule_"+strings.ReplaceAll(withoutCloud(r.Name), "-", "_")+".go")
		archives = append(archives, filepath.Join("testdata", r.Name+".txtar"))
	}
	for _, name := range others {
		archives = append(archives, filepath.Join("testdata", name+".txtar"))
	}
	same(t, "rule_*.go", sources)
	same(t, filepath.Join("testdata", "*.txtar"), archives)
}

// withoutCloud is the name of a rule without the cloud, which is the folder of the rule.
func withoutCloud(rule string) string {
	for _, cloud := range []string{"aws-", "gcp-", "vault-"} {
		if rest, ok := strings.CutPrefix(rule, cloud); ok {
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
