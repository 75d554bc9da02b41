package wif

import "bitbucket-oidc/internal/finding"

// namesOthers is found together with gcp-admits-others: both are about the identities of other repositories that get in.
func namesOthers() finding.Rule {
	return finding.Rule{
		Name: "gcp-names-others", Severity: finding.Note,
		Finds: "another repository that the document names by its whole UUID",
		Why:   "A provider and a service account can be shared on purpose. Everybody who may push to the other repository gets in too.",
		Fix:   "Remove the UUID, or bind a service account for each repository.",
	}
}
