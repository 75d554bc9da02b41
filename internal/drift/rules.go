package drift

import "bitbucket-oidc/internal/finding"

// Rules lists the kinds as rules, in the order of the documentation. Each is in a file with what finds it.
func Rules() []finding.Rule {
	return []finding.Rule{
		widerRule(),
		unlistedRule(),
		missingRule(),
		narrowerRule(),
		absentRule(),
		unreadRule(),
		undecidedRule(),
		expiredRule(),
		providerRule(),
		sessionRule(),
		unenforceableRule(),
	}
}
