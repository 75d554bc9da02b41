package iam

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func keyPrefix() finding.Rule {
	return finding.Rule{
		Name: "aws-key-prefix", Severity: finding.Error,
		Finds: "a condition key that is not the principal's issuer without `https://`",
		Why:   "The part before `:sub` and `:aud` must be the issuer exactly. Any other key is missing, so the condition fails, or holds for everyone if it is negated.",
		Fix:   "Write `api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc` before the colon: no ARN, no `https://`, no slash at the end.",
	}
}

func (j *roleJudgement) findKeyPrefix() {
	for _, k := range j.claimKeys {
		if !k.known {
			j.Find(finding.Error, "aws-key-prefix", k.condition.path,
				fmt.Sprintf("The key %.200q is not the issuer without https://, a colon and a claim, so no request has it.", k.condition.key), j.claimFix(k.condition))
		}
	}
}
