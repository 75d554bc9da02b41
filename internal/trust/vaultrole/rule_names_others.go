package vaultrole

import "bitbucket-oidc/internal/finding"

// namesOthers is found together with vault-admits-others: both are about the identities of other repositories that get in.
func namesOthers() finding.Rule {
	return finding.Rule{
		Name: "vault-names-others", Severity: finding.Note,
		Finds: "another repository that the document names by its whole UUID",
		Why:   "A role can be shared on purpose. Everybody who may push to the other repository has the role too.",
		Fix:   "Remove the UUID, or write a role for each repository.",
	}
}
