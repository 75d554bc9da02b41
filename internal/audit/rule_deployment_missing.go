package audit

import "bitbucket-oidc/internal/finding"

func deploymentMissing() finding.Rule {
	return finding.Rule{
		Name: "deployment-missing", Severity: finding.Warning,
		Finds: "a step that changes something and has the same identity as every other step without an environment",
		Why:   "Without `deployment:` the token's subject is `{repository}:{step}`: on AWS no trust policy can distinguish the step from a step of a pull request.",
		Fix:   "Add `deployment:` with the environment's name, and bind the trust policy to the environment's UUID.",
	}
}

func (r *run) deploymentMissing() {
	for _, s := range r.steps {
		if s.Token && s.Environment == nil && s.changes != nil && !s.src.PullRequest {
			r.report(report{
				rule: deploymentMissing(), at: s.src.Place, about: "deployment", steps: []*step{s}, fix: finding.Fix{Kind: finding.YAML, Text: "deployment: production"},
				message: "The step changes something, and its token does not name an environment.",
			})
		}
	}
}
