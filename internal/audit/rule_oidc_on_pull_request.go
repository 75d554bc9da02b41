package audit

import "bitbucket-oidc/internal/finding"

func oidcOnPullRequest() finding.Rule {
	return finding.Rule{
		Name: "oidc-on-pull-request", Severity: finding.Warning,
		Finds: "a token on a pull request; an error where the step changes something",
		Why:   "The code is unreviewed, and its author holds the repository's identity. Pull requests of forks start no pipeline.",
		Fix:   "Give the step a read-only role of its own, bound to an environment of its own; let it plan and not apply.",
	}
}

func (r *run) oidcOnPullRequest() {
	for _, s := range r.steps {
		if !s.Token || !s.src.PullRequest {
			continue
		}
		p := report{rule: oidcOnPullRequest(), at: s.src.Place, about: "pull request", steps: []*step{s}, message: "The step has a token on pull requests, before any review."}
		if s.changes != nil {
			p.severity, p.message = finding.Error, "The step has a token on pull requests, and it changes something before any review."
		}
		r.report(p)
	}
}
