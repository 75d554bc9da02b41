package audit_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/pipelines"
)

// ownRules are the rules of this package: those about accepting have their cases in package accept.
func ownRules() []finding.Rule {
	return slices.DeleteFunc(audit.Rules(), func(r finding.Rule) bool {
		return slices.ContainsFunc(accept.Rules(), func(a finding.Rule) bool { return a.Name == r.Name })
	})
}

func TestEachRuleIsOneFile(t *testing.T) {
	findingtest.FileEach(t, ownRules(), "files", "comments")
}

// TestRules reads testdata/RULE.txtar: in a file that is "found …" the rule finds the lines that end in #! and no others. In what is
// "fixed …" and in what is "trap …", which look like it, the rule finds nothing.
func TestRules(t *testing.T) {
	for _, rule := range ownRules() {
		kinds := map[string]int{}
		for _, c := range cases(t, rule.Name) {
			kinds[c.Kind]++
			t.Run(rule.Name+"/"+c.Title, func(t *testing.T) { find(t, rule, c) })
		}
		if kinds[findingtest.Found] < 2 || kinds[findingtest.Fixed] != 1 || kinds[findingtest.Trap] < 2 {
			t.Errorf("%s has the cases %v", rule.Name, kinds)
		}
	}
}

// TestComments reads testdata/comments.txtar, in which the rule's name stands in front of each title.
func TestComments(t *testing.T) {
	kinds := map[string]int{}
	for _, c := range cases(t, "comments") {
		name, _, _ := strings.Cut(c.Title, ":")
		kinds[c.Kind+" "+name]++
		i := slices.IndexFunc(accept.Rules(), func(r finding.Rule) bool { return r.Name == name })
		if i < 0 {
			t.Fatalf("%s: no such rule", c.Title)
		}
		t.Run(c.Title, func(t *testing.T) { find(t, accept.Rules()[i], c) })
	}
	for _, want := range []string{"found accept-incomplete", "trap accept-incomplete", "found accept-unused", "trap accept-unused"} {
		if kinds[want] < 2 {
			t.Errorf("%d cases %q", kinds[want], want)
		}
	}
}

// TestCommentsOfJudges: a comment that accepts what a judge finds is unused only where this judge was asked.
func TestCommentsOfJudges(t *testing.T) {
	const steps = "pipelines:\n  default:\n    - step: {script: [make]}\n"
	all := judges.Rules()
	for _, rule := range all {
		file := []byte("# bitbucket-oidc: ignore[" + rule.Name + "] the role is made by the next pipeline\n" + steps)
		for _, c := range []struct {
			name string
			asks []finding.Rule // the rules of the judge that is asked
			want bool
		}{
			{"no judge", nil, false},
			{"another judge", slices.DeleteFunc(slices.Clone(all), func(r finding.Rule) bool { return r.Name == rule.Name }), false},
			{"the judge", all, true},
		} {
			t.Run(rule.Name+"/"+c.name, func(t *testing.T) {
				found := audit.File("x.yml", file, audit.Options{Judges: []audit.Judge{silent(c.asks)}}).Findings
				if got := slices.ContainsFunc(found, func(f audit.Finding) bool { return f.Rule == "accept-unused" }); got != c.want {
					t.Errorf("unused: %t, want %t", got, c.want)
				}
			})
		}
	}
}

// silent is a judge that looks for rules and finds nothing.
type silent []finding.Rule

func (s silent) Rules() []finding.Rule                 { return s }
func (s silent) Judge([]*audit.Step) []audit.Judgement { return nil }

func cases(t *testing.T, name string) []findingtest.Case {
	t.Helper()
	all, _ := findingtest.Cases(t, filepath.Join("testdata", name+".txtar"), pipelines.FileName)
	return all
}

// find holds what the rule finds in a file to the marks of the file.
func find(t *testing.T, rule finding.Rule, c findingtest.Case) {
	t.Helper()
	data := c.File(pipelines.FileName)
	want, got := marked(data), map[int]bool{}
	if (c.Kind == findingtest.Found) != (len(want) > 0) {
		t.Fatal("the marks and the kind of the case disagree")
	}
	harsher := rule.Name == "token-in-clone" || rule.Name == "oidc-on-pull-request" // in the cases that their texts name
	unmarked := bytes.ReplaceAll(data, []byte(" #!\n"), []byte("\n"))               // a mark is no reason of a comment that accepts
	for _, f := range audit.File("x.yml", unmarked, audit.Options{}).Findings {
		if f.Rule != rule.Name {
			continue
		}
		got[f.Line] = true
		if f.Severity != rule.Severity && f.Severity != rule.Milder && !harsher {
			t.Errorf("severity %s", f.Severity)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("finds lines %v; want %v", got, want)
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
