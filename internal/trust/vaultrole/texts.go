package vaultrole

import "bitbucket-oidc/internal/finding"

// Rules are the rules of this package, in the order of the documentation.
func Rules() []finding.Rule {
	return []finding.Rule{
		{
			Name: "vault-sub-bound", Severity: finding.Error,
			Finds: "`bound_subject`, or a claim, bound to a step's UUID",
			Why:   "The subject and the step's UUID are others in every step: the role works once.",
			Fix:   "Bind `repositoryUuid`, and `deploymentEnvironmentUuid` for a deployment environment.",
		},
		{
			Name: "vault-audience-mismatch", Severity: finding.Error,
			Finds: "`bound_audiences` that the token does not meet, or none",
			Why:   "A token with an audience is refused by a role that binds none, and by one that binds others.",
			Fix:   "Write the workspace's audience, without braces.",
		},
		{
			Name: "vault-repository-unbound", Severity: finding.Error,
			Finds: "nothing that binds the repository",
			Why:   "Every repository of the workspace may log in with the role.",
			Fix:   "Add `repositoryUuid`, with braces, to `bound_claims`.",
		},
		{
			Name: "vault-user-claim-per-step", Severity: finding.Warning,
			Finds: "a `user_claim` that changes in every step",
			Why:   "Vault makes an entity for each value of the claim: a new one in each step, which count as clients.",
			Fix:   "Write `\"user_claim\": \"repositoryUuid\"`.",
		},
	}
}
