package drift_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/drift/drifttest"
	"bitbucket-oidc/internal/finding/findingtest"
)

func TestRuleFiles(t *testing.T) { findingtest.FileEach(t, drift.Rules()) }

// TestPlaces: a difference stands where the map is about it, and leads to what is deployed.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		rule, title string
		line        string // how the line of the map begins
		related     string // file:line:column; empty for none
	}{
		{rule: "drift-wider", title: "every step of the repository", line: "  - {who: [shop/production]", related: "roles.json:20:15"},
		{rule: "drift-unlisted", title: "a role that somebody made by hand", line: "grants:", related: "roles.json:45:15"},
		{rule: "drift-unread", title: "an account without its roles in any file", line: "read: {aws:"},
		{rule: "drift-provider", title: "an account without the provider", line: "  - {who: [shop/production]"},
		{rule: "drift-expired", title: "a grant until June", line: "  - {who: [shop/production]", related: "roles.json:7:35"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			cases, _ := findingtest.Cases(t, filepath.Join("testdata", c.rule+".txtar"), "")
			i := slices.IndexFunc(cases, func(x findingtest.Case) bool { return x.Title == c.title })
			all := drifttest.Compare(t, cases[i])
			d := all[slices.IndexFunc(all, func(d drift.Difference) bool { return d.Rule == c.rule })]
			lines := strings.Split(string(cases[i].File("access.yaml")), "\n")
			if d.File != "access.yaml" || !strings.HasPrefix(lines[d.Line-1], c.line) {
				t.Errorf("%s:%d: %s", d.File, d.Line, lines[d.Line-1])
			}
			related := ""
			for _, r := range d.Related {
				related += fmt.Sprintf("%s:%d:%d", r.File, r.At.Line, r.At.Column)
			}
			if related != c.related {
				t.Errorf("related: %q, want %q", related, c.related)
			}
		})
	}
}

// TestRules reads testdata/RULE.txtar: each case has a map, access.yaml, and documents beside it.
func TestRules(t *testing.T) {
	for _, rule := range drift.Rules() {
		cases, _ := findingtest.Cases(t, filepath.Join("testdata", rule.Name+".txtar"), "")
		kinds := map[string]int{}
		for _, c := range cases {
			kinds[c.Kind]++
			t.Run(rule.Name+"/"+c.Title, func(t *testing.T) {
				all := drifttest.Compare(t, c)
				found := slices.ContainsFunc(all, func(d drift.Difference) bool { return d.Rule == rule.Name })
				if found != (c.Kind == findingtest.Found) {
					t.Errorf("found: %t; all: %+v", found, all)
				}
				if c.Kind == findingtest.Fixed && len(all) > 0 {
					t.Errorf("a mended case is not green: %+v", all)
				}
			})
		}
		if kinds[findingtest.Found] < 1 || kinds[findingtest.Fixed] != 1 || kinds[findingtest.Trap] < 1 {
			t.Errorf("%s has the cases %v", rule.Name, kinds)
		}
	}
}
