package audit

import "bitbucket-oidc/internal/finding"

func oidcOnSelfHosted() finding.Rule {
	return finding.Rule{
		Name: "oidc-on-self-hosted", Severity: finding.Note,
		Finds: "a token on a self-hosted runner",
		Why:   "On shell runners files remain after the step, also files with tokens and credentials.",
		Fix:   "Use a runner that is created anew for each step, and write nothing outside of the build directory.",
	}
}

func (r *run) oidcOnSelfHosted() {
	for _, s := range r.steps {
		if s.Token && s.src.RunsOn.Key != nil && s.src.RunsOn.Value.Tag != "!!null" {
			r.report(report{rule: oidcOnSelfHosted(), at: s.src.RunsOn.Place(), about: "runs-on", steps: []*step{s}, message: "The step has a token on a self-hosted runner."})
		}
	}
}
