package vaultrole

import (
	"context"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func admitsOthers() finding.Rule {
	return finding.Rule{
		Name: "vault-admits-others", Anyone: true, Severity: finding.Error,
		Finds: "another repository's identity gets in, with a witness",
		Why: "The role lets this identity in. It is also judged for everybody else in the workspace: other repositories, their deployments, " +
			"other branches, and steps that ask for more audiences. At least one of these gets in, or is not certainly refused. " +
			"The finding has the claims of such a step, and `check --claims` confirms it.",
		Fix: "Bind `repositoryUuid` to the whole UUID, with braces.",
	}
}

// others finds who else gets in through a role that lets the identity in.
func (v *judgement) others() {
	cells := v.Reach(context.Background(), bitbucket.Around(v.id))
	v.FindOthers("vault-admits-others", "vault-names-others", cells, v.id, "bound_claims", v.bind())
}
