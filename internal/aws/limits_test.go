package aws

import (
	"slices"
	"strings"
	"testing"
)

func TestSessionName(t *testing.T) {
	for _, c := range []struct{ asked, slug, build, want string }{
		{"", "shop", "42", "bitbucket-shop-42"},
		{"", "", "42", "bitbucket-oidc"},
		{"", "shop", "", "bitbucket-oidc"},
		{"", "sh op:{x}", "42", "bitbucket-sh-op--x--42"},
		{"a b/ü", "shop", "42", "a-b--"},
		{"a_b+c=d,e.f@g-h", "", "", "a_b+c=d,e.f@g-h"},
		{strings.Repeat("x", 70), "", "", strings.Repeat("x", 64)},
	} {
		if got := SessionName(c.asked, c.slug, c.build); got != c.want {
			t.Errorf("SessionName(%q, %q, %q) = %q, want %q", c.asked, c.slug, c.build, got, c.want)
		}
	}
}

// TestSessionTags: a value that AWS would refuse is left out, because a changed one could be another branch's.
func TestSessionTags(t *testing.T) {
	got := SessionTags(
		Tag{"Repository", "acme/shop"}, Tag{"Branch", "release#1"}, Tag{"Commit", ""}, Tag{"BuildNumber", strings.Repeat("7", 257)}, Tag{"Environment", "Zürich 1"},
	)
	if want := []Tag{{"Repository", "acme/shop"}, {"Environment", "Zürich 1"}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
