package iam

import (
	"slices"

	"bitbucket-oidc/internal/finding"
)

func sourceIPOnly() finding.Rule {
	return finding.Rule{
		Name: "aws-source-ip-only", Severity: finding.Warning,
		Finds: "an address range as the only condition",
		Why:   "All customers of Bitbucket share its addresses, and self-hosted runners have other addresses. An address is not an identity.",
		Fix:   "Add a condition on `:sub`.",
	}
}

func (j *roleJudgement) findSourceIPOnly() {
	for s := range j.grants() {
		if s.sub.missing() && s.aud.missing() && onlyAddresses(s.conditions) {
			j.Find(finding.Warning, "aws-source-ip-only", s.conditions[0].path,
				"An address range is the only guard, and all customers of Bitbucket share its addresses.", j.subjectFix(false))
		}
	}
}

// onlyAddresses reports whether there are conditions, and all of them are on the caller's address.
func onlyAddresses(conditions []judgedCondition) bool {
	return len(conditions) > 0 && !slices.ContainsFunc(conditions, func(c judgedCondition) bool {
		return c.lower != "aws:sourceip" && c.lower != "aws:vpcsourceip"
	})
}
