package audit

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func stepMisplaced() finding.Rule {
	return finding.Rule{
		Name: "step-misplaced", Severity: finding.Error,
		Finds: "a step where no pipeline runs it",
		Why:   "If the keys are beside `step:` instead of below it, the step is empty. A step inside a step never runs, and neither do steps below a name that is no kind of pipeline.",
		Fix:   "Indent the keys below `step:`, or move the step below `default`, `branches`, `tags`, `pull-requests` or `custom`.",
	}
}

func (r *run) stepMisplaced() { r.faults(pipelines.Misplaced, stepMisplaced(), finding.Fix{}) }
