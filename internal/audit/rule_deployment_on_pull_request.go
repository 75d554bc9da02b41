package audit

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func deploymentOnPullRequest() finding.Rule {
	return finding.Rule{
		Name: "deployment-on-pull-request", Severity: finding.Error, Milder: finding.Warning,
		Finds: "an environment's identity on a pull request; a warning where the environment is not production",
		Why:   "Unreviewed code gets the identity that the cloud trusts as the environment.",
		Fix:   "Remove `deployment:` from the step, or make an environment for pull requests only.",
	}
}

func (r *run) deploymentOnPullRequest() {
	for _, s := range r.steps {
		if !s.Token || !s.src.PullRequest || s.Environment == nil || preview.MatchString(*s.Environment) {
			continue
		}
		p := report{
			rule: deploymentOnPullRequest(), severity: finding.Warning, at: s.src.Place, about: *s.Environment, steps: []*step{s},
			message: fmt.Sprintf("A pull request becomes the environment %s before any review.", *s.Environment),
		}
		if production.MatchString(*s.Environment) {
			p.severity = finding.Error
		}
		r.report(p)
	}
}

var (
	production = pattern.New(`(?i)prod|live|\bprd\b|release|main`)
	preview    = pattern.New(`(?i)preview|review|ephemeral|pull|\bprs?\b|sandbox|\btest`)
)
