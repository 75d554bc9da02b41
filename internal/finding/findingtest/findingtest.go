// Package findingtest holds rules to the form that makes them easy to find and to add.
package findingtest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/finding"
)

// FileEach fails unless each rule of the package under test has one file named after it, rule_aws_sub_missing.go for aws-sub-missing, and
// one archive of cases, testdata/aws-sub-missing.txtar, and unless each such file belongs to a rule. Others are archives that belong to
// no rule.
func FileEach(t testing.TB, rules []finding.Rule, others ...string) {
	t.Helper()
	var sources, archives []string
	for _, r := range rules {
		sources = append(sources, "rule_"+strings.ReplaceAll(r.Name, "-", "_")+".go")
		archives = append(archives, filepath.Join("testdata", r.Name+".txtar"))
	}
	for _, name := range others {
		archives = append(archives, filepath.Join("testdata", name+".txtar"))
	}
	same(t, "rule_*.go", sources)
	same(t, filepath.Join("testdata", "*.txtar"), archives)
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
