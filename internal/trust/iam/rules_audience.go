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

// audienceRule looks at a value for the audience. Only what cannot be a custom audience is judged: another step may ask for
// any of those.
func (j *roleJudgement) audienceRule(c judgedCondition, value string) {
	if !c.variable || !isNeverCustom(value) {
		return
	}
	p := wildcards(value)
	folded := slices.ContainsFunc(j.id.Claims.Audience, p.matchesAnyCase)
	switch {
	case slices.ContainsFunc(j.id.Claims.Audience, p.matches), folded && c.anyCase:
	case folded:
		j.Find(finding.Error, "aws-uuid-case", c.path, fmt.Sprintf("%.200q has a UUID whose upper and lower case differs from the token's, and the operator is case-sensitive.", value), j.audienceFix(c.negated))
	default:
		j.Find(finding.Error, "aws-aud-mismatch", c.path, fmt.Sprintf("No token of this workspace has the audience %.200q.", value), j.audienceFix(c.negated))
	}
}

// isNeverCustom reports whether a value is AWS's own audience or means to be a workspace's.
func isNeverCustom(audience string) bool {
	lower := strings.ToLower(audience)
	return lower == "sts.amazonaws.com" || strings.HasPrefix(lower, "ari:cloud:bitbucket:")
}
