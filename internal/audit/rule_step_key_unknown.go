package audit

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func stepKeyUnknown() finding.Rule {
	return finding.Rule{
		Name: "step-key-unknown", Severity: finding.Warning,
		Finds: "a key of a step that Bitbucket does not know",
		Why:   "Bitbucket ignores the key. A role that it should set stays empty, and a misspelt `oidc` gives no token.",
		Fix:   "Set variables with `export` in the script, or in the repository's settings; correct the key's name.",
	}
}

func (r *run) stepKeyUnknown() { r.faults(pipelines.Ignored, stepKeyUnknown(), finding.Fix{}) }
