package iam

import "bitbucket-oidc/internal/finding"

func audMissing() finding.Rule {
	return finding.Rule{
		Name: "aws-aud-missing", Severity: finding.Warning,
		Finds: "an Allow statement without a condition on `:aud`",
		Why:   "A token for another service is accepted too, if its audience is one of the provider's client ids.",
		Fix:   "Add a condition on `:aud` with the workspace's audience.",
	}
}

func (j *roleJudgement) findAudMissing() {
	for s := range j.grants() {
		if s.aud.missing() && !j.misspells(s, "aud") {
			j.Find(finding.Warning, "aws-aud-missing", s.path, "No :aud condition guards the statement, so tokens for other services get in too.", j.audienceFix(false))
		}
	}
}
