package vaultrole

import "bitbucket-oidc/internal/finding"

// Rules are the rules of this package, in the order of the documentation.
func Rules() []finding.Rule {
	return []finding.Rule{
		{
			Name: "vault-sub-bound", Severity: finding.Error,
			Finds: "`bound_subject`, or a claim, bound to a step's UUID",
			Why:   "The subject and the step's UUID are new in every step run: the role works once.",
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
			Why:   "Vault creates an entity for each value of the claim: a new one in each step, and each counts as a client.",
			Fix:   "Write `\"user_claim\": \"repositoryUuid\"`.",
		},
		{
			Name: "vault-admits-others", Severity: finding.Error,
			Finds: "another repository's identity gets in, with a witness",
			Why:   "The role lets this identity in and is judged for everybody else of the workspace too: other repositories, their deployments, other branches, and steps that ask for more audiences. One of them gets in, or is not certainly refused. The finding has the claims of one, which `check --claims` confirms.",
			Fix:   "Bind `repositoryUuid` to the whole UUID, with braces.",
		},
		{
			Name: "vault-names-others", Severity: finding.Note,
			Finds: "another repository that the document names by its whole UUID",
			Why:   "A role can be shared on purpose. Everybody who may push to the other repository has the role too.",
			Fix:   "Remove the UUID, or write a role for each repository.",
		},
	}
}
