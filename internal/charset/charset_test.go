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
		{"abc", "a-z", 1, 3, true}, {"abc", "a-z", 1, 2, false}, {"", "a-z", 1, 2, false}, {"", "a-z", 0, 2, true},
		{"a-b", "a-z-", 1, 9, true}, {"a-b", "a-z", 1, 9, false}, {"aB", "a-z", 1, 9, false}, {"a\n", "a-z", 1, 9, false},
		{"-", "-", 1, 1, true}, {"+-=", "+=-", 3, 3, true}, {"é", charset.Visible, 1, 9, false}, {"a b", charset.Visible, 1, 9, false}, {"~!", charset.Visible, 1, 9, true},
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
