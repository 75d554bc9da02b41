package iam

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func actionWrong() finding.Rule {
	return finding.Rule{
		Name: "aws-action", Severity: finding.Error, Milder: finding.Warning,
		Finds: "an action list without `sts:AssumeRoleWithWebIdentity`, or wider than it",
		Why:   "A federated identity calls AssumeRoleWithWebIdentity; `sts:AssumeRole` is for AWS principals. NotAction allows everything that it does not name. `*` and `sts:*` work and grant more than is needed, which is a warning.",
		Fix:   "Write `\"Action\": \"sts:AssumeRoleWithWebIdentity\"`.",
	}
}

func (j *roleJudgement) findAction() {
	fix := pasted(document.Line("Action", "sts:AssumeRoleWithWebIdentity"))
	for _, s := range j.statements {
		switch {
		case !s.named:
		case s.notAction && (s.effect == "Allow" || s.covers == trust.No):
			j.Find(finding.Error, "aws-action", s.path+".NotAction", "NotAction covers every action except those that it names.", fix)
		case s.covers == trust.No:
			j.Find(finding.Error, "aws-action", s.path+".Action", "The statement does not cover sts:AssumeRoleWithWebIdentity.", fix)
		case s.effect == "Allow":
			for _, action := range s.actions {
				if lower := strings.ToLower(action); lower == "*" || lower == "sts:*" {
					j.Find(finding.Warning, "aws-action", s.path+".Action", fmt.Sprintf("%q allows more than sts:AssumeRoleWithWebIdentity.", action), fix)
				}
			}
		}
	}
}
