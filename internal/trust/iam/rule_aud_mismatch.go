package iam

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func audMismatch() finding.Rule {
	return finding.Rule{
		Name: "aws-aud-mismatch", Severity: finding.Error,
		Finds: "an audience that the workspace's tokens never have",
		Why:   "Bitbucket's audience is `ari:cloud:bitbucket::workspace/UUID`, without braces. `sts.amazonaws.com` is the audience of GitHub, and the default of widely used Terraform modules.",
		Fix:   "Write the audience that Repository settings → Pipelines → OpenID Connect shows.",
	}
}

func (j *roleJudgement) findAudMismatch() {
	for _, v := range j.audienceValues() {
		if !v.matchesAnyCase {
			j.Find(finding.Error, "aws-aud-mismatch", v.condition.path, fmt.Sprintf("No token of this workspace has the audience %.200q.", v.text), j.audienceFix(v.condition.negated))
		}
	}
}

// An audienceValue is one value with which a condition compares the audience, and which cannot be a custom audience: it is the audience
// of AWS, or is meant to be the audience of a workspace. Any other value can be what another step asks for.
type audienceValue struct {
	condition      condition
	text           string
	matches        bool // one of the token's audiences
	matchesAnyCase bool // one of the token's audiences, if upper and lower case do not count
}

func (j *roleJudgement) audienceValues() []audienceValue {
	var all []audienceValue
	key := j.key("aud")
	for _, s := range j.statements {
		for _, c := range s.conditions {
			if !s.named || c.lower != key || !c.variable {
				continue
			}
			for _, text := range c.values {
				if lower := strings.ToLower(text); lower != "sts.amazonaws.com" && !strings.HasPrefix(lower, "ari:cloud:bitbucket:") {
					continue
				}
				p, audiences := wildcards(text), j.id.Claims.Audience
				all = append(all, audienceValue{
					c.condition, text, slices.ContainsFunc(audiences, p.matches), slices.ContainsFunc(audiences, p.matchesAnyCase),
				})
			}
		}
	}
	return all
}
