package audit

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func stepMisplaced() finding.Rule {
	return finding.Rule{
		Name: "step-misplaced", Severity: finding.Error,
		Finds: "a step where no pipeline runs it",
		Why:   "Keys beside `step:` in place of below it make an empty step; a step inside a step and steps below a name that is no kind of pipeline never run.",
		Fix:   "Indent the keys below `step:`, or move the step below `default`, `branches`, `tags`, `pull-requests` or `custom`.",
	}
}

func (r *run) stepMisplaced() { r.faults(pipelines.Misplaced, stepMisplaced(), finding.Fix{}) }
