package trust_test

import (
	"testing"

	"bitbucket-oidc/internal/trust"
)

// github.com/ryanuber/go-glob, glob_test.go
func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "x", false}, {"x", "x", true}, {"X", "x", false}, {"*", "", true}, {"*", "x:y", true},
		{"a*", "ab", true}, {"a*", "ba", false}, {"*b", "ab", true}, {"*b", "ba", false}, {"*b*", "abc", true},
		{"a*c", "ac", true}, {"a*b*c", "axbxc", true}, {"a*b*c", "axc", false}, {"a*a", "a", false}, {"a**c", "abc", true},
		{"?", "x", false}, {"{a}:*", "{a}:b", true},
	} {
		if got := trust.Glob(c.pattern, c.text); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.text, got)
		}
	}
}
