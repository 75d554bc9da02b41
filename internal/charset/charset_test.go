package charset_test

import (
	"strings"
	"testing"

	"bitbucket-oidc/internal/charset"
)

func TestOnly(t *testing.T) {
	for _, c := range []struct {
		s, set      string
		least, most int
		want        bool
	}{
		{s: "abc", set: "a-z", least: 1, most: 3, want: true},
		{s: "abc", set: "a-z", least: 1, most: 2},
		{set: "a-z", least: 1, most: 2},
		{set: "a-z", most: 2, want: true},
		{s: "a-b", set: "a-z-", least: 1, most: 9, want: true},
		{s: "a-b", set: "a-z", least: 1, most: 9},
		{s: "aB", set: "a-z", least: 1, most: 9},
		{s: "a\n", set: "a-z", least: 1, most: 9},
		{s: "-", set: "-", least: 1, most: 1, want: true},
		{s: "+-=", set: "+=-", least: 3, most: 3, want: true},
		{s: "é", set: charset.Visible, least: 1, most: 9},
		{s: "a b", set: charset.Visible, least: 1, most: 9},
		{s: "~!", set: charset.Visible, least: 1, most: 9, want: true},
	} {
		if got := charset.Only(c.s, c.set, c.least, c.most); got != c.want {
			t.Errorf("Only(%q, %q, %d, %d) = %v", c.s, c.set, c.least, c.most, got)
		}
	}
}

func TestIsDomain(t *testing.T) {
	for s, want := range map[string]bool{
		"googleapis.com": true, "apis-berlin-build0.goog": true, "a.b.c": true,
		"": false, "localhost": false, "a..b": false, ".a.b": false, "a.b.": false, "-a.b": false, "a-.b": false, "A.b": false, "1.2.3.4": false,
		"a.b/c": false, "a.b:80": false, "a b.c": false, "a.b\n": false, strings.Repeat("a.", 126) + "aa": false, strings.Repeat("a", 64) + ".b": false,
	} {
		if charset.IsDomain(s) != want {
			t.Errorf("IsDomain(%q) = %v", s, !want)
		}
	}
}
