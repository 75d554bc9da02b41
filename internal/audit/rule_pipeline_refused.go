package audit

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func pipelineRefused() finding.Rule {
	return finding.Rule{
		Name: "pipeline-refused", Severity: finding.Error,
		Finds: "what makes Bitbucket refuse the whole file",
		Why:   "A pipeline must not begin with a manual step, an environment stands once in a pipeline, a step of a stage has neither condition nor trigger nor deployment, and variables belong to custom pipelines.",
		Fix:   "Move or remove the key.",
	}
}

func (r *run) pipelineRefused() { r.faults(pipelines.Refused, pipelineRefused(), finding.Fix{}) }
