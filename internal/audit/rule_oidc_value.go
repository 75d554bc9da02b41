package audit

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func oidcValue() finding.Rule {
	return finding.Rule{
		Name: "oidc-value", Severity: finding.Error,
		Finds: "a value of `oidc` that is neither a boolean nor a mapping with `audiences`",
		Why:   "Bitbucket's validator refuses it.",
		Fix:   "oidc: true",
	}
}

func (r *run) oidcValue() {
	r.faults(pipelines.Value, oidcValue(), finding.Fix{Kind: finding.YAML, Text: "oidc: true"})
}
