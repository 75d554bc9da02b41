package audit

import "bitbucket-oidc/internal/finding"

func credentialsPrinted() finding.Rule {
	return finding.Rule{
		Name: "credentials-printed", Severity: finding.Error,
		Finds: "a command that prints keys, tokens or secrets of a cloud into the log",
		Why:   "Bitbucket does not know these values and does not mask them.",
		Fix:   "Capture the answer in a variable, or write it to a file outside of the checkout.",
	}
}

// credentialsPrinted finds commands that print credentials into the log.
func (r *run) credentialsPrinted() {
	for _, s := range r.steps {
		for i, c := range s.commands {
			if (s.answers(i) || s.tellsKeys(i)) && s.shown(i) {
				r.report(report{rule: credentialsPrinted(), at: c.at, about: c.Text(), steps: []*step{s}, message: "The command prints credentials into the log."})
			}
		}
	}
}
