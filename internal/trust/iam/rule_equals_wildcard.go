package iam

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func equalsWildcard() finding.Rule {
	return finding.Rule{
		Name: "aws-equals-wildcard", Severity: finding.Error,
		Finds: "`*` or `?` under an operator that does not know wildcards",
		Why:   "StringEquals compares characters. Only StringLike and the ARN operators know wildcards, so the condition never holds.",
		Fix:   "Change StringEquals to StringLike.",
	}
}

func (j *roleJudgement) findEqualsWildcard() {
	for _, s := range j.statements {
		for _, c := range s.conditions {
			if !s.named || !c.literal {
				continue
			}
			for _, value := range c.values {
				if wildcards(value).wild() && !strings.Contains(value, "${") && !slices.Contains(c.actual, value) {
					j.Find(finding.Error, "aws-equals-wildcard", c.path, fmt.Sprintf("%s takes the * or ? in %.200q literally.", c.name, value), likeFix(c.condition, value))
				}
			}
		}
	}
}
