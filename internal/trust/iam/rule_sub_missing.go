package iam

import "bitbucket-oidc/internal/finding"

func subMissing() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-missing", Anyone: true, Severity: finding.Error,
		Finds: "an Allow statement without a condition on `:sub`",
		Why:   "The OIDC provider stands for the whole workspace. Without a condition on `:sub`, every step of every repository of the workspace may assume the role. IAM does not require the condition for an issuer that belongs to one workspace.",
		Fix:   "Add a StringLike condition on `:sub` with `{repository}:*`, or `{repository}:{environment}:*` for a deployment environment.",
	}
}

// findSubMissing leaves a statement that fails open to the rule for that.
func (j *roleJudgement) findSubMissing() {
	for s := range j.grants() {
		if s.sub.missing() && !s.sub.failsOpen() && !s.aud.failsOpen() && !j.misspells(s, "sub") {
			j.Find(finding.Error, "aws-sub-missing", s.path, "No :sub condition guards the statement, so every repository of the workspace gets in.", j.subjectFix(false))
		}
	}
}
