package iam

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func claimUnavailable() finding.Rule {
	return finding.Rule{
		Name: "aws-claim-unavailable", Severity: finding.Error,
		Finds: "a condition on a claim that AWS does not expose for Bitbucket",
		Why:   "AWS exposes only `:sub` and `:aud` of Bitbucket's claims. A condition on another claim never holds, or always holds if it is negated. A branch cannot be restricted on AWS.",
		Fix:   "Remove the condition. Repository and environment are in `:sub`.",
	}
}

func (j *roleJudgement) findClaimUnavailable() {
	for _, k := range j.claimKeys {
		if k.claim != "sub" && k.claim != "aud" && (k.known || j.isTokenClaim(k.claim)) {
			j.Find(finding.Error, "aws-claim-unavailable", k.condition.path,
				fmt.Sprintf("AWS reads only sub and aud from Bitbucket's tokens, and not the claim in the key %.200q.", k.condition.key), j.subjectFix(k.condition.negated))
		}
	}
}
