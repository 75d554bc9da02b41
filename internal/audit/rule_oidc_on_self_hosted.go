package audit

import "bitbucket-oidc/internal/finding"

func oidcOnSelfHosted() finding.Rule {
	return finding.Rule{
		Name: "oidc-on-self-hosted", Severity: finding.Note,
		Finds: "a token on a runner of one's own",
		Why:   "Files stay on shell runners after the step, and so do tokens and credentials that were written.",
		Fix:   "Use a runner that is made new for each step, and write nothing outside of the build directory.",
	}
}

func (r *run) oidcOnSelfHosted() {
	for _, s := range r.steps {
		if s.Token && s.src.RunsOn.Key != nil {
			r.report(report{rule: oidcOnSelfHosted(), at: s.src.RunsOn.Place(), about: "runs-on", steps: []*step{s}, message: "The step has a token on a self-hosted runner."})
		}
	}
}
