package audit

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func pipelineRefused() finding.Rule {
	return finding.Rule{
		Name: "pipeline-refused", Severity: finding.Error,
		Finds: "what makes Bitbucket refuse the whole file",
		Why:   "A pipeline cannot begin with a manual step. A pipeline can use an environment once. A step of a stage cannot have a condition, a trigger or a deployment. Only custom pipelines can have variables. An entry of a script is text, a pipe or an agent.",
		Fix:   "Move or remove the key, or quote the command.",
	}
}

func (r *run) pipelineRefused() { r.faults(pipelines.Refused, pipelineRefused(), finding.Fix{}) }
