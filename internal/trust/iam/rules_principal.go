package iam

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func principalWrong() finding.Rule {
	return finding.Rule{
		Name: "aws-principal", Severity: finding.Error,
		Finds: "no Federated principal for the token's issuer, or an element that a trust policy cannot have",
		Why:   "AWS compares the principal with the ARN of the provider that the token's issuer has in the role's own account. Wildcards, NotPrincipal and Resource are refused when the policy is stored.",
		Fix:   "Write `arn:aws:iam::ACCOUNT_ID:oidc-provider/` and the issuer without `https://`, in the role's account.",
	}
}

// principalRules look for principals that never are, or that are too many.
func (j *roleJudgement) principalRules(s judgedStatement) {
	path := s.path + ".Principal"
	j.worldRule(s)
	for _, name := range s.principals.federated {
		if p, ok := parseProviderARN(name); ok && p.path == j.request.issuer && !j.role.canTrust(p) {
			j.Find(finding.Error, "aws-principal", path, fmt.Sprintf("%.300q is no identity provider of the role's own account, and IAM takes no other.", name), j.principalFix())
		}
	}
}

// missingPrincipalRule applies where no Allow statement is about the token's provider and nothing else says why.
func (j *roleJudgement) missingPrincipalRule() {
	path := "Statement"
	for _, s := range j.statements {
		if s.effect != "Allow" {
			continue
		}
		if s.named {
			return
		}
		if len(s.principals.federated) > 0 && path == "Statement" {
			path = s.path + ".Principal"
		}
	}
	if !j.Found("aws-principal") {
		j.Find(finding.Error, "aws-principal", path, "No Allow statement names the identity provider of the token's issuer.", j.principalFix())
	}
}

func actionWrong() finding.Rule {
	return finding.Rule{
		Name: "aws-action", Severity: finding.Error, Milder: finding.Warning,
		Finds: "an action list without `sts:AssumeRoleWithWebIdentity`, or wider than it",
		Why:   "A federated identity calls AssumeRoleWithWebIdentity; `sts:AssumeRole` is for AWS principals. NotAction allows everything that it does not name. `*` and `sts:*` work and grant more than is needed, which is a warning.",
		Fix:   "Write `\"Action\": \"sts:AssumeRoleWithWebIdentity\"`.",
	}
}

// actionRules look for statements that are about other actions, or about all.
func (j *roleJudgement) actionRules(s judgedStatement) {
	path := s.path + ".Action"
	switch {
	case s.notAction && (s.effect == "Allow" || s.covers == trust.No):
		j.Find(finding.Error, "aws-action", s.path+".NotAction", "NotAction leaves open which actions the statement is about.", actionFix())
	case s.covers == trust.No:
		j.Find(finding.Error, "aws-action", path, "The statement is not about sts:AssumeRoleWithWebIdentity.", actionFix())
	case s.effect == "Allow":
		for _, action := range s.actions {
			if lower := strings.ToLower(action); lower == "*" || lower == "sts:*" {
				j.Find(finding.Warning, "aws-action", path, fmt.Sprintf("%q allows more than sts:AssumeRoleWithWebIdentity.", action), actionFix())
			}
		}
	}
}
