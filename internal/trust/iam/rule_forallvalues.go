package iam

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func forAllValuesOpen() finding.Rule {
	return finding.Rule{
		Name: "aws-forallvalues", Severity: finding.Error,
		Finds: "`ForAllValues:` on `:sub` or `:aud` under Allow",
		Why:   "ForAllValues holds when the key is missing: the condition lets in tokens without the claim.",
		Fix:   "Remove the prefix, or write `ForAnyValue:`.",
	}
}

func (j *roleJudgement) findForAllValues() {
	for s := range j.grants() {
		for _, g := range []guard{s.sub, s.aud} {
			for _, c := range g.sets {
				j.Find(finding.Error, "aws-forallvalues", c.path,
					fmt.Sprintf("%s on :%s holds when the token has no such claim.", c.name, g.claim), j.guardFix(g.claim))
			}
		}
	}
}
