package accept_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/finding/findingtest"
)

var today = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestEachRuleIsOneFile(t *testing.T) {
	findingtest.FileEach(t, accept.Rules())
}

// TestRules reads testdata/RULE.txtar: lists in which the rule finds the lines that end in #! and no others.
func TestRules(t *testing.T) {
	there := []string{"5202ab0274af", "1eb7037f101f"}
	for _, rule := range accept.Rules() {
		cases, _ := findingtest.Cases(t, filepath.Join("testdata", rule.Name+".txtar"), "")
		kinds := map[string]int{}
		for _, c := range cases {
			kinds[c.Kind]++
			t.Run(rule.Name+"/"+c.Title, func(t *testing.T) {
				list := c.File("accept.yaml")
				entries, err := accept.Read(list)
				if err != nil {
					t.Fatal(err)
				}
				var want, got []int
				for i, line := range strings.Split(string(list), "\n") {
					if strings.HasSuffix(line, "#!") {
						want = append(want, i+1)
					}
				}
				for _, e := range entries {
					broken, message, found := e.Broken(today, slices.Contains(there, e.ID))
					if found && broken.Name == rule.Name {
						got = append(got, e.Line)
					}
					if found != (message != "") || found && e.Accepts(today) && broken.Name != "accept-unused" {
						t.Errorf("line %d: %q, accepts: %t", e.Line, message, e.Accepts(today))
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) || (c.Kind == findingtest.Found) != (len(want) > 0) {
					t.Errorf("finds lines %v; want %v", got, want)
				}
			})
		}
		if kinds[findingtest.Found] < 2 || kinds[findingtest.Fixed] != 1 || kinds[findingtest.Trap] < 2 {
			t.Errorf("%s has the cases %v", rule.Name, kinds)
		}
	}
}

// TestLastDay: the last day is a day in UTC, to its last moment.
func TestLastDay(t *testing.T) {
	entries, err := accept.Read([]byte("- {id: 5202ab0274af, until: 2026-06-30, why: rotated}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		now  time.Time
		want bool
	}{
		{"long before", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{"its last moment", time.Date(2026, 6, 30, 23, 59, 59, 999999999, time.UTC), true},
		{"the next day", time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), false},
		{"the next day in Auckland, and not in UTC", time.Date(2026, 7, 1, 9, 0, 0, 0, time.FixedZone("", 12*3600)), true},
		{"the last day in Honolulu, and not in UTC", time.Date(2026, 6, 30, 20, 0, 0, 0, time.FixedZone("", -10*3600)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := entries[0].Accepts(c.now); got != c.want {
				t.Errorf("accepts: %t, want %t", got, c.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	const id = "- {id: 5202ab0274af, until: 2027-03-31, why: rotated}\n"
	for _, c := range []struct {
		name, list string
		entries    int
		want       string // in the error; empty for none
	}{
		{name: "one entry", list: id, entries: 1},
		{name: "an id of digits, whose zeros stay", list: "- {id: 000000000001, until: 2027-03-31, why: rotated}\n", entries: 1},
		{name: "an id that YAML takes for a number", list: "- {id: 1234567890e1, until: 2027-03-31, why: rotated}\n", entries: 1},
		{name: "nothing", list: ""},
		{name: "blank lines and comments", list: "\n# none\n\n  # at all\n"},
		{name: "an empty list", list: "[]\n"},
		{name: "a carriage return before each line feed", list: strings.ReplaceAll(id+id, "\n", "\r\n"), entries: 2},
		{name: "a misspelt key", list: "- {id: 5202ab0274af, until: 2027-03-31, reason: rotated}\n", want: `unknown key "reason"`},
		{name: "several mistakes are told at once", list: "- {ID: a}\n- {id: b, untill: c}\n", want: `unknown key "untill"`},
		{name: "a key twice", list: "- {id: 5202ab0274af, id: 1eb7037f101f, until: 2027-03-31, why: rotated}\n", want: "twice"},
		{name: "no list", list: "id: 5202ab0274af\n", want: "expected a list"},
		{name: "a list of ids", list: "- 5202ab0274af\n", want: "[0]"},
		{name: "an id that is a list", list: "- {id: [5202ab0274af], until: 2027-03-31, why: rotated}\n", want: "expected a text"},
		{name: "not YAML", list: "- {id: 5202ab0274af\n", want: "line 1"},
		{name: "an alias", list: "- &a {id: 5202ab0274af, until: 2027-03-31, why: rotated}\n- *a\n", entries: 2},
		{name: "two documents", list: id + "---\n" + id, want: "document"},
		{name: "more than a list may have", list: strings.Repeat(id, 60_000), want: "2048 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, err := accept.Read([]byte(c.list))
			if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v; want %q", err, c.want)
			}
			if c.want == "" && len(entries) != c.entries {
				t.Errorf("%d entries; want %d", len(entries), c.entries)
			}
			for _, e := range entries {
				if c.want == "" && (len(e.ID) != 12 || !e.Accepts(today)) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}
