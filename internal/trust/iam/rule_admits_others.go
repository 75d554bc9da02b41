package iam

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func admitsOthers() finding.Rule {
	return finding.Rule{
		Name: "aws-admits-others", Anyone: true, Severity: finding.Error,
		Finds: "another repository's identity gets in, with a witness",
		Why:   "The document lets this identity in. `check` also judges it for everybody else in the workspace: other repositories, their deployments, and steps that ask for more audiences. One of them gets in, or is not certainly refused. The finding has the claims of such an identity, and `check --claims` confirms it.",
		Fix:   "Let the Allow itself name the repository: `{repository}:*` under StringLike on `:sub`.",
	}
}

func (j *roleJudgement) findAdmitsOthers() {
	if j.others != nil && len(j.others.foreign) > 0 {
		in := j.others.foreign
		j.FindWith(in[0].Reach.Witness, finding.Error, "aws-admits-others", j.letIn(in[0]), trust.Admits(in), j.statementFix())
	}
}
