package iam

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func policyTooLong() finding.Rule {
	return finding.Rule{
		Name: "aws-policy-too-long", Severity: finding.Error, Milder: finding.Warning,
		Finds: "a trust policy that is longer than IAM stores",
		Why:   "IAM stores at most 4096 characters, without white space, and 2048 until the quota is raised: between the two limits the finding is a warning.",
		Fix:   "Use a role for each repository, or fewer values.",
	}
}

func (j *roleJudgement) findPolicyTooLong() {
	j.findRefused("aws-policy-too-long")
	if size := j.role.policy.size; size > defaultPolicy && size <= longestPolicy {
		j.Find(finding.Warning, "aws-policy-too-long", "", fmt.Sprintf("The policy has %d characters, more than the %d of the default quota.", size, defaultPolicy), j.statementFix())
	}
}

// findRefused makes a finding for each reason for which AWS would not store the policy, as far as a rule is about it.
func (j *roleJudgement) findRefused(rule string) {
	for _, r := range j.role.policy.refusals {
		if r.rule == rule {
			j.Find(finding.Error, rule, r.path, "AWS would not store this policy: "+r.why+".", j.refusalFix(r))
		}
	}
}
