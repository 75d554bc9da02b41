package wif

import "bitbucket-oidc/internal/finding"

// Rules are the rules of this package, in the order of the documentation. Each has a file with its texts and what finds it.
func Rules() []finding.Rule {
	return []finding.Rule{
		providerDisabled(), issuerMismatch(), audienceMismatch(), conditionMissing(), conditionRejects(), mappingInvalid(),
		mappingAbsentClaim(), bindingPoolWide(), bindingPinsStep(), bindingBraces(), bindingUnmapped(), bindingProjectID(),
		bindingTwoAttributes(), conditionUnscoped(), functionUnconfirmed(), admitsOthers(), namesOthers(),
	}
}
