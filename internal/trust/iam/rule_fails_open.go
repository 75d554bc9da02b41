package iam

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func failsOpen() finding.Rule {
	return finding.Rule{
		Name: "aws-fails-open", Severity: finding.Error,
		Finds: "only `…IfExists`, `Null` or negated operators guard `:sub` or `:aud`",
		Why:   "These conditions hold when the key is missing, and a negated one holds for every other value. A misspelt key lets in everyone.",
		Fix:   "Say what the value must be, with StringLike or StringEquals.",
	}
}

func (j *roleJudgement) findFailsOpen() {
	for s := range j.grants() {
		for _, g := range []guard{s.sub, s.aud} {
			if g.failsOpen() {
				c := g.open[0]
				j.Find(finding.Error, "aws-fails-open", c.path,
					fmt.Sprintf("No condition says what :%s must be: %s also holds %s.", g.claim, c.name, c.opening()), j.guardFix(g.claim))
			}
		}
	}
}

// opening says when a condition holds that does not guard a claim.
func (c condition) opening() string {
	if c.negated {
		return "for every other value"
	}
	return "for a token without the claim" // IfExists, and Null, which does not compare values
}
