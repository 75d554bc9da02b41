package vaultrole

import (
	"fmt"
	"slices"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func audienceMismatch() finding.Rule {
	return finding.Rule{
		Name: "vault-audience-mismatch", Severity: finding.Error,
		Finds: "`bound_audiences` that the token does not meet, or none",
		Why:   "Vault refuses a token with an audience if the role binds no audience, or only others.",
		Fix:   "Write the workspace's audience, without braces.",
	}
}

// audience compares the audiences: one of the token's audiences must be bound.
func (v *judgement) audience() {
	want, has := v.role.BoundAudiences, v.id.Claims.Audience
	message := ""
	switch {
	case len(want) == 0:
		message = fmt.Sprintf("The role binds no audience and the token has %s: Vault refuses a token with an audience then.", trust.Quoted(has))
	case !slices.ContainsFunc(want, func(a string) bool { return slices.Contains(has, a) }):
		message = fmt.Sprintf("The role wants the audience %s and the token has %s.", trust.Quoted(want), trust.Quoted(has))
	default:
		return
	}
	v.Refuse("vault-audience-mismatch", "bound_audiences", message,
		v.write(map[string]any{"bound_audiences": append(slices.Clone(want), bitbucket.WorkspaceAudience(v.id.Claims))}))
}
