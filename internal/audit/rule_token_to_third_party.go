package audit

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func tokenToThirdParty() finding.Rule {
	return finding.Rule{
		Name: "token-to-third-party", Severity: finding.Warning,
		Finds: "somebody else's code or server that gets the token",
		Why:   "Whoever holds the token can become the step while the token is valid. A pipe on the step gets the token without asking.",
		Fix:   "Call the pipe on a step without `oidc`, or pass it the credentials that it needs and no token.",
	}
}

func (r *run) tokenToThirdParty() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, p := range s.pipes {
			if p.owner != "atlassian" && p.owner != "" && !isOurs(p, r.options.OurPipes) && !exchanges.MatchString(p.name) && !strings.Contains(p.Name, "atlassian/") && !strings.HasPrefix(p.owner, "$") {
				r.report(report{rule: tokenToThirdParty(), at: p.place, about: p.Name, steps: []*step{s}, message: fmt.Sprintf("The pipe %s/%s gets the step's token.", p.owner, p.name)})
			}
		}
		for _, c := range s.commands {
			text := c.Text()
			given := s.uses(c) || strings.Contains(text, "-e "+tokenVariable) || strings.Contains(text, "--env "+tokenVariable)
			switch {
			case !given:
			case c.Name() == "docker" && strings.Contains(text, " run "):
				r.report(report{rule: tokenToThirdParty(), at: c.at, about: text, steps: []*step{s}, message: "The container gets the step's token."})
			case (c.Name() == "curl" || c.Name() == "wget") && !tradesAt.MatchString(text):
				r.report(report{rule: tokenToThirdParty(), at: c.at, about: text, steps: []*step{s}, message: "The server gets the step's token."})
			}
		}
	}
}

// exchanges matches pipes whose purpose is to trade the token.
var exchanges = pattern.New(`(?i)oidc|conjur|vault|login|auth|assume-role|credential|secret|sts`)

// tradesAt matches addresses at which tokens are traded, and those that have a finding of their own.
var tradesAt = pattern.New(`sts\.[\w.-]*amazonaws\.com|sts\.googleapis\.com|/v1/auth/|api\.bitbucket\.org|/oauth2?/|/oidc|/token\b|VAULT_ADDR|localhost|127\.0\.0\.1`)
