package judges_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/audit/judges/judgestest"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/pipelines"
)

func TestEachRuleIsOneFile(t *testing.T) {
	findingtest.FileEach(t, judges.Rules())
}

// TestRules reads testdata/RULE.txtar as the test of package audit does. What belongs to no case is what the judge reads.
func TestRules(t *testing.T) {
	for _, rule := range judges.Rules() {
		cases, shared := findingtest.Cases(t, filepath.Join("testdata", rule.Name+".txtar"), pipelines.FileName)
		kinds := map[string]int{}
		for _, c := range cases {
			kinds[c.Kind]++
			t.Run(rule.Name+"/"+c.Title, func(t *testing.T) {
				judge := judgestest.Against(t, c, shared)
				want, got := map[int]bool{}, map[int]bool{}
				data := c.File(pipelines.FileName)
				for i, line := range strings.Split(string(data), "\n") {
					if strings.HasSuffix(line, " #!") {
						want[i+1] = true
					}
				}
				if (c.Kind == findingtest.Found) != (len(want) > 0) {
					t.Fatal("the marks and the name disagree")
				}
				for _, f := range audit.File("x.yml", data, audit.Options{Judges: []audit.Judge{judge}}).Findings {
					if f.Rule == rule.Name {
						got[f.Line] = true
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("finds lines %v; want %v", got, want)
				}
			})
		}
		if kinds[findingtest.Found] < 2 || kinds[findingtest.Fixed] != 1 || kinds[findingtest.Trap] < 2 {
			t.Errorf("%s has the cases %v", rule.Name, kinds)
		}
	}
}
