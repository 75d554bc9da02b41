package iam

import "bitbucket-oidc/internal/finding"

func audMultivalued() finding.Rule {
	return finding.Rule{
		Name: "aws-aud-multivalued", Severity: finding.Warning,
		Finds: "an operator without `ForAnyValue:` where the token has several audiences",
		Why:   "AWS does not document how an operator without a set prefix compares a claim that is a list.",
		Fix:   "Put `ForAnyValue:` before the operator: it also holds for a single value.",
	}
}

func (j *roleJudgement) findAudMultivalued() {
	for s := range j.grants() {
		for _, c := range s.conditions {
			if c.lower == j.key("aud") && c.set != forAnyValue && !c.null && len(c.actual) > 1 {
				j.Find(finding.Warning, "aws-aud-multivalued", c.path,
					"The token has several audiences, and only ForAnyValue: is sure to hold when one of them matches.", j.audienceFix(false))
			}
		}
	}
}
