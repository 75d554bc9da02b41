package vaultrole

import (
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
)

// bind is the command that makes the role bind the identity. What the role binds already stays, except values of one step; the fields in
// empty are emptied.
func (v *judgement) bind(empty ...string) finding.Fix {
	role := setup.VaultRoleFor(v.id.Claims)
	bound := map[string]any{}
	for name, want := range v.role.BoundClaims {
		if !v.pinned(name, want) {
			bound[name] = want
		}
	}
	for name, value := range role.BoundClaims {
		delete(bound, "/"+name)
		bound[name] = value
	}
	change := map[string]any{"bound_claims": bound}
	if role.BoundClaimsType != "" {
		change["bound_claims_type"] = role.BoundClaimsType
	}
	for _, name := range empty {
		change[name] = ""
	}
	return v.write(change)
}

// explained are the members of the role that `explain` prints which decide who gets in.
func (v *judgement) explained() any {
	role := setup.VaultRoleFor(v.id.Claims)
	return struct {
		BoundAudiences  []string          `json:"bound_audiences"`
		BoundClaimsType string            `json:"bound_claims_type,omitempty"`
		BoundClaims     map[string]string `json:"bound_claims"`
	}{role.BoundAudiences, role.BoundClaimsType, role.BoundClaims}
}

// write is the command that changes fields of the role. Vault keeps the fields that the command does not name, except two: it would set
// role_type to oidc and bound_claims_type to string. Source: hashicorp/vault-plugin-auth-jwt, path_role.go, pathRoleCreateUpdate.
func (v *judgement) write(change map[string]any) finding.Fix {
	change["role_type"] = "jwt"
	if v.globs() {
		change["bound_claims_type"] = "glob"
	}
	return finding.Fix{Kind: finding.Shell, Text: shell.Document("vault write auth/jwt/role/"+setup.RoleName+" -", document.Indented(change))}
}
