package iam

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func namesOthers() finding.Rule {
	return finding.Rule{
		Name: "aws-names-others", Severity: finding.Note,
		Finds: "another repository that the document names by its whole UUID",
		Why:   "A role can be shared on purpose. Everybody who may push to the other repository has the role too.",
		Fix:   "Remove the value, or use a role for each repository.",
	}
}

func (j *roleJudgement) findNamesOthers() {
	if j.others == nil {
		return
	}
	for _, in := range j.others.named {
		j.FindWith(in[0].Reach.Witness, finding.Note, "aws-names-others", j.letIn(in[0]), trust.Names(in), j.statementFix())
	}
}
