// Package wif judges providers of Google's workload identity federation, and the policies of service accounts.
package wif

import (
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
)

// A poolPath is the name of a pool or a provider. A part is empty if the file does not say it.
type poolPath struct {
	project  string // the number
	pool     string
	provider string // empty in a member's name
}

// parsePoolPath reads projects/NUMBER/locations/global/workloadIdentityPools/POOL[/providers/PROVIDER], and returns the rest of the text.
func parsePoolPath(s string) (name poolPath, rest string, ok bool) {
	parts := strings.SplitN(s, "/", 7)
	if len(parts) < 6 || parts[0] != "projects" || parts[2] != "locations" || parts[3] != "global" || parts[4] != "workloadIdentityPools" {
		return poolPath{}, "", false
	}
	name = poolPath{project: parts[1], pool: parts[5]}
	if len(parts) == 7 {
		rest = parts[6]
	}
	if provider, found := strings.CutPrefix(rest, "providers/"); found && !strings.Contains(provider, "/") {
		name.provider, rest = provider, ""
	}
	return name, rest, true
}

// fits reports whether two names can name the same thing. A placeholder and an empty part fit any value.
func (n poolPath) fits(other poolPath) bool {
	same := func(a, b, placeholder string) bool {
		return a == b || a == "" || b == "" || a == placeholder || b == placeholder
	}
	return same(n.project, other.project, setup.ProjectNumber) && same(n.pool, other.pool, setup.Pool) && same(n.provider, other.provider, setup.Provider)
}

// numbered reports whether the project is a number, or the placeholder of one.
func (n poolPath) numbered() bool {
	return n.project == setup.ProjectNumber || n.project != "" && strings.Trim(n.project, "0123456789") == ""
}

// known fills in placeholders for empty parts.
func (n poolPath) known() poolPath {
	p := setup.Places{GCPProjectNumber: n.project, GCPPool: n.pool, GCPProvider: n.provider}.Known()
	return poolPath{project: p.GCPProjectNumber, pool: p.GCPPool, provider: p.GCPProvider}
}

// command is a gcloud command for the provider.
func (n poolPath) command(verb string, flags ...string) finding.Fix {
	n = n.known()
	return finding.Fix{Kind: finding.Shell, Text: setup.GCPProviderCommand(verb, setup.GCPPoolName(n.project, n.pool)+"/providers/"+n.provider, flags...)}
}
