package iam

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each rule of the list has a file with its texts and what finds it, and a file of cases. Both are named after the rule.
func TestRuleFiles(t *testing.T) {
	var files, cases []string
	for _, rule := range Rules() {
		name := strings.TrimPrefix(rule.Name, "aws-")
		files = append(files, "rule_"+strings.ReplaceAll(name, "-", "_")+".go")
		cases = append(cases, filepath.Join("testdata", rule.Name+".txtar"))
		text, err := os.ReadFile(files[len(files)-1])
		if err != nil {
			t.Errorf("%s: %v", rule.Name, err)
			continue
		}
		if strings.Count(string(text), "finding.Rule{") != 1 || !strings.Contains(string(text), `Name: "`+rule.Name+`"`) {
			t.Errorf("%s has not the texts of %s, and of no other rule", files[len(files)-1], rule.Name)
		}
		if !strings.Contains(string(text), "func (j *roleJudgement) find") {
			t.Errorf("%s does not find its rule", files[len(files)-1])
		}
	}
	for pattern, want := range map[string][]string{"rule_*.go": files, "testdata/*.txtar": cases} {
		got, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		got = slices.DeleteFunc(got, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("files\n%s\nfor the rules\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
