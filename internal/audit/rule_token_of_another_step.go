package audit

import "bitbucket-oidc/internal/finding"

func tokenOfAnotherStep() finding.Rule {
	return finding.Rule{
		Name: "token-of-another-step", Severity: finding.Error,
		Finds: "a step that signs in with a file of an earlier step",
		Why:   "The token may have expired, it names the environment of the other step, and it was stored as an artifact in between.",
		Fix:   "Give the step `oidc: true`, and sign in on the step itself.",
	}
}

func (r *run) tokenOfAnotherStep() {
	for _, s := range r.steps {
		for _, c := range s.Clouds {
			if c.How == "inherited-file" {
				r.report(report{
					rule: tokenOfAnotherStep(), at: place{Line: c.Line, Column: c.column}, about: "inherited", steps: []*step{s},
					message: "The step signs in with a file that an earlier step wrote with its own token.",
					fix:     finding.Fix{Kind: finding.YAML, Text: "oidc: true"},
				})
			}
		}
	}
}
