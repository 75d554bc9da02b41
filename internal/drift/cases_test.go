package drift_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/trust"
)

// TestRules reads testdata/RULE.txtar: each case has a map, access.yaml, and documents beside it.
func TestRules(t *testing.T) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for _, rule := range drift.Rules() {
		cases, _ := findingtest.Cases(t, filepath.Join("testdata", rule.Name+".txtar"), "")
		kinds := map[string]int{}
		for _, c := range cases {
			kinds[c.Kind]++
			t.Run(rule.Name+"/"+c.Title, func(t *testing.T) {
				m, err := access.Parse("access.yaml", c.File("access.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				given := inventory.Given{Map: m}
				for _, f := range c.Without("access.yaml") {
					given.Files = append(given.Files, trust.File{Name: f.Name, Data: f.Data})
				}
				state, err := inventory.Read(t.Context(), given, drift.Universe(m, now))
				if err != nil {
					t.Fatal(err)
				}
				all := drift.Compare(m, state, now)
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
