package vaultrole

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
)

func userClaimPerStep() finding.Rule {
	return finding.Rule{
		Name: "vault-user-claim-per-step", Severity: finding.Warning,
		Finds: "a `user_claim` that changes in every step",
		Why:   "Vault creates an entity for each value of the claim: a new one in each step, and each counts as a client.",
		Fix:   "Write `\"user_claim\": \"repositoryUuid\"`.",
	}
}

// user looks at the claim that names the entity, which must be a text.
func (v *judgement) user() {
	name := v.role.UserClaim
	if name == "" {
		v.Undecide("Undecided: the file does not contain user_claim, and Vault keeps no role without it.")
		return
	}
	stable := map[string]any{"user_claim": setup.VaultRoleFor(v.id.Claims).UserClaim}
	value, there := lookup(v.id.All, name, v.role.UserClaimPointer && strings.HasPrefix(name, "/"))
	switch {
	case !there && !v.id.Knows(strings.TrimPrefix(name, "/")):
		v.Undecide(fmt.Sprintf("Undecided: the role's user_claim is %s, and it is not known here whether the token has that claim.", name))
	case !there:
		v.refuse(stable, "The role's user_claim is %s, which the token does not have.", name)
	case !isText(value):
		v.refuse(stable, "The role's user_claim is %s, which is not a text in this token.", name)
	}
	// pipelineUuid stays for one pipeline run, so each run is a new entity as well.
	if slices.Contains([]string{"sub", "stepUuid", "pipelineUuid"}, strings.TrimPrefix(name, "/")) {
		v.Find(finding.Warning, "vault-user-claim-per-step", "user_claim",
			"The user_claim "+name+" changes in every run, so each run is a new entity in Vault.",
			v.write(stable))
	}
}
