package iam

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func principalWrong() finding.Rule {
	return finding.Rule{
		Name: "aws-principal", Severity: finding.Error,
		Finds: "no Federated principal for the token's issuer, or an element that a trust policy cannot have",
		Why:   "AWS compares the principal with the ARN of the provider that the token's issuer has in the role's own account. AWS does not store a trust policy with wildcards in a principal, with NotPrincipal or with Resource.",
		Fix:   "Write `arn:aws:iam::ACCOUNT_ID:oidc-provider/` and the issuer without `https://`, in the role's account.",
	}
}

func (j *roleJudgement) findPrincipal() {
	j.findRefused("aws-principal")
	for _, s := range j.statements {
		path := s.path + ".Principal"
		if s.admitsWorld() {
			j.Find(finding.Error, "aws-principal", path, `The principal {"AWS": "*"} is everyone, inside AWS and perhaps outside it.`, j.principalFix())
		}
		for _, name := range s.principals.federated {
			if p, ok := parseProviderARN(name); ok && p.path == j.request.issuer && !j.role.canTrust(p) {
				j.Find(finding.Error, "aws-principal", path,
					fmt.Sprintf("%.300q is not an identity provider of the role's own account, and IAM accepts no other.", name), j.principalFix())
			}
		}
	}
	if path, missing := j.missingPrincipal(); missing && !j.Found("aws-principal") {
		j.Find(finding.Error, "aws-principal", path, "No Allow statement names the identity provider of the token's issuer.", j.principalFix())
	}
}

// admitsWorld reports whether a statement lets in everyone: it covers this login, or no condition restricts it.
func (s judgedStatement) admitsWorld() bool {
	unrestricted := len(s.actions) > 0 && !slices.ContainsFunc(s.statement.conditions, condition.restricts)
	return s.effect == "Allow" && s.principals.everyone && (s.covers == trust.Yes || unrestricted)
}

// restricts reports whether a condition keeps anybody out, as far as its text says: the key must be there, and not every value matches.
func (c condition) restricts() bool {
	if c.negated || c.ifExists || c.null || c.set == forAllValues || len(c.values) == 0 || c.lower == "aws:securetransport" {
		return false
	}
	return !slices.ContainsFunc(c.values, func(v string) bool {
		return c.like && strings.HasPrefix(c.lower, "aws:") && matchesEverything(v) || strings.HasSuffix(v, "/0")
	})
}

// missingPrincipal reports whether no Allow statement names the token's provider, and where one should: in the first Allow statement
// with a federated principal, if there is one.
func (j *roleJudgement) missingPrincipal() (path string, missing bool) {
	path = "Statement"
	for _, s := range j.statements {
		switch {
		case s.effect != "Allow":
		case s.named:
			return "", false
		case len(s.principals.federated) > 0 && path == "Statement":
			path = s.path + ".Principal"
		}
	}
	return path, true
}
