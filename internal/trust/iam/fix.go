package iam

import (
	"cmp"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
)

// provider is the identity provider of the token's issuer, as the role's policy should name it.
func (j *roleJudgement) provider() providerARN {
	p := providerARN{j.role.partition, j.role.account, j.request.issuer}
	for _, s := range j.statements {
		for _, name := range s.principals.federated {
			if named, ok := parseProviderARN(name); ok && s.named && named.path == p.path {
				p.partition, p.account = cmp.Or(p.partition, named.partition), cmp.Or(p.account, named.account)
			}
		}
	}
	return providerARN{cmp.Or(p.partition, "aws"), cmp.Or(p.account, setup.AccountID), p.path}
}

// statementFix is the whole statement that lets in this identity.
func (j *roleJudgement) statementFix() finding.Fix {
	p := j.provider()
	return pasted(setup.AWSStatement(j.id.Claims, p.partition, p.account))
}

// principalFix is the line that names the token's provider.
func (j *roleJudgement) principalFix() finding.Fix {
	return pasted(document.Line("Principal", map[string]string{"Federated": j.provider().String()}))
}

// subjectFix is the condition on the subject that fits this identity.
func (j *roleJudgement) subjectFix(negated bool) finding.Fix {
	operator := "StringLike"
	if negated {
		operator = "StringNotLike"
	}
	return pasted(document.Line(operator, map[string]string{j.request.issuer + ":sub": bitbucket.Subject(j.id.Claims) + ":*"}))
}

// audienceFix is the condition on the audience that fits this identity.
func (j *roleJudgement) audienceFix(negated bool) finding.Fix {
	operator := setup.AWSAudienceOperator(j.id.Claims)
	if negated {
		operator = "StringNotEquals"
	}
	return pasted(document.Line(operator, map[string]string{j.request.issuer + ":aud": bitbucket.WorkspaceAudience(j.id.Claims)}))
}

// claimFix is the condition that fits this identity, on the claim that a key is about. AWS reads everything but the audience from the
// subject.
func (j *roleJudgement) claimFix(c condition) finding.Fix {
	if strings.HasSuffix(c.lower, "aud") {
		return j.audienceFix(c.negated)
	}
	return j.subjectFix(c.negated)
}

// likeFix is the value of a condition under the operator that knows wildcards.
func likeFix(c condition, value string) finding.Fix {
	operator := "StringLike"
	if c.negated {
		operator = "StringNotLike"
	}
	if prefix, _, ok := strings.Cut(c.name, ":"); ok {
		operator = prefix + ":" + operator
	}
	if c.ifExists {
		operator += "IfExists"
	}
	return pasted(document.Line(operator, map[string]string{c.key: value}))
}

// pasted is a fix that is a part of a policy.
func pasted(text string) finding.Fix { return finding.Fix{Kind: finding.JSON, Text: text} }

// refusalFix replaces what AWS would not store: the principal where that is wrong, else the whole statement.
func (j *roleJudgement) refusalFix(r refusal) finding.Fix {
	if strings.HasSuffix(r.path, "rincipal") {
		return j.principalFix()
	}
	return j.statementFix()
}
