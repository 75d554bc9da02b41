package trust

import (
	"cmp"
	"strings"
)

// provider is the identity provider of the token's issuer, as the role's policy must name it.
func (j *roleJudgement) provider() providerARN {
	return providerARN{cmp.Or(j.role.partition, "aws"), cmp.Or(j.role.account, AccountID), j.request.issuer}
}

// statementFix is the whole statement that lets in this identity.
func (j *roleJudgement) statementFix() string {
	p := j.provider()
	return AWSStatement(j.id.Claims, p.partition, p.account)
}

// principalFix is the line that names the token's provider.
func (j *roleJudgement) principalFix() string {
	return jsonLine("Principal", map[string]string{"Federated": j.provider().String()})
}

func actionFix() string { return jsonLine("Action", "sts:AssumeRoleWithWebIdentity") }

// subjectFix is the condition on the subject that fits this identity.
func (j *roleJudgement) subjectFix(negated bool) string {
	operator := "StringLike"
	if negated {
		operator = "StringNotLike"
	}
	return jsonLine(operator, map[string]string{j.request.issuer + ":sub": Subject(j.id.Claims) + ":*"})
}

// audienceFix is the condition on the audience that fits this identity.
func (j *roleJudgement) audienceFix(negated bool) string {
	operator := audienceOperator(j.id.Claims)
	if negated {
		operator = "StringNotEquals"
	}
	return jsonLine(operator, map[string]string{j.request.issuer + ":aud": WorkspaceAudience(j.id.Claims)})
}

// claimFix is the condition that fits this identity, on the claim that a key is about: what is not about the audience, AWS can
// tell from the subject only.
func (j *roleJudgement) claimFix(c iamCondition) string {
	if strings.HasSuffix(c.lower, "aud") {
		return j.audienceFix(c.negated)
	}
	return j.subjectFix(c.negated)
}

// likeFix is a condition's value under the operator that knows wildcards.
func likeFix(c iamCondition, value string) string {
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
	return jsonLine(operator, map[string]string{c.key: value})
}

// jsonLine is a member of a JSON object.
func jsonLine(name string, value any) string {
	return jsonText(name) + ": " + jsonText(value)
}

// jsonText is JSON on one line, with a blank behind each comma and colon.
func jsonText(value any) string {
	var b strings.Builder
	previous := ""
	for line := range strings.Lines(indented(value)) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(previous, ",") {
			b.WriteByte(' ')
		}
		b.WriteString(line)
		previous = line
	}
	return b.String()
}
