package audit

import (
	"strings"

	"bitbucket-oidc/internal/finding"
)

func serviceCannotAccept() finding.Rule {
	return finding.Rule{
		Name: "service-cannot-accept", Severity: finding.Error,
		Finds: "a token that goes to a service which cannot accept it",
		Why:   "Bitbucket's own API does not accept the token, by design. Entra ID compares the whole subject, and the subject ends in the step's UUID, which is new in every step.",
		Fix:   "For Bitbucket's API use a repository access token. For Azure go through a broker, such as Vault's Azure engine.",
	}
}

func (r *run) serviceCannotAccept() {
	for _, s := range r.steps {
		for _, c := range s.commands {
			text := c.Text()
			switch {
			case azLogin.MatchString(text) && c.Name() == "az":
				r.report(report{rule: serviceCannotAccept(), at: c.at, about: text, steps: []*step{s}, message: "Entra ID cannot accept the token: its subject changes with every step."})
			case strings.Contains(text, "api.bitbucket.org") && s.uses(c) && c.Name() != "echo":
				r.report(report{rule: serviceCannotAccept(), at: c.at, about: text, steps: []*step{s}, message: "Bitbucket's API does not take the step's token."})
			}
		}
	}
}
