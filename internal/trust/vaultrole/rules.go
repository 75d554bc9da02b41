package vaultrole

import "bitbucket-oidc/internal/finding"

// Rules are the rules of this package, in the order of the documentation. Each has a file with its texts and what finds it.
func Rules() []finding.Rule {
	return []finding.Rule{
		subBound(), audienceMismatch(), repositoryUnbound(), userClaimPerStep(), admitsOthers(), namesOthers(),
	}
}
