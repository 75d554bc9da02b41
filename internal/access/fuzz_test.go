package access

import (
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/document"
)

// A map that is read has targets that can be rendered or a reason why not, and what is rendered names no wildcard that the map does not
// mean.
func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("version: 1\nworkspace: {slug: a, uuid: 7baee083-4f25-4a97-8a9a-0fde1b623b45}\nrepositories: &r {}\ngrants: [*r]\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("access.yaml", []byte(text))
		if err != nil {
			return
		}
		r, err := m.Render(nil, "", time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
		if err != nil {
			return
		}
		for _, p := range r.Policies {
			if body := document.Tight(p.Body); strings.Contains(body, `"*"`) || strings.Contains(body, `:sub":"*`) {
				t.Errorf("%s lets in everybody: %s", p.Target.Name, body)
			}
		}
	})
}
