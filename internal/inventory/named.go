package inventory

import (
	"strings"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/pattern"
)

var mountURL = pattern.New(`^https?://[^/?#]+/v1/auth/[\w./-]+$`)

// Named reads NAME=FILE. Both may have = in them: the name is the longest one that an access map can have as a target, or that is the
// URL of a mount of Vault's.
func Named(text string) (target, file string, ok bool) {
	for i := len(text) - 2; i > 0; i-- {
		if text[i] != '=' {
			continue
		}
		name := text[:i]
		_, isTarget := access.ParseTarget(name)
		if isTarget && !strings.HasSuffix(name, "?namespace") || mountURL.MatchString(name) && !strings.Contains(name, "/role/") {
			return name, text[i+1:], true
		}
	}
	return "", "", false
}
