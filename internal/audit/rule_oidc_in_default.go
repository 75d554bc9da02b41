package audit

import "bitbucket-oidc/internal/finding"

func oidcInDefault() finding.Rule {
	return finding.Rule{
		Name: "oidc-in-default", Severity: finding.Note,
		Finds: "a token in a pipeline that every branch runs",
		Why:   "Whoever can push a branch holds the repository's identity, before any review.",
		Fix:   "Move the step below `branches` and the branch that deploys, or give it an environment that only that branch may deploy to.",
	}
}

func (r *run) oidcInDefault() {
	for _, s := range r.steps {
		if s.Token && (s.src.Pipeline == "pipelines.default" || s.src.Pipeline == `pipelines.branches["**"]`) {
			r.report(report{rule: oidcInDefault(), at: s.src.Place, about: "default", steps: []*step{s}, message: "The step has a token on every branch."})
		}
	}
}
