package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/script"
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
			foreign := p.owner != "" && !strings.HasPrefix(p.owner, "$") && p.owner != "atlassian" && !strings.Contains(p.Name, "atlassian/")
			if foreign && !isOurs(p, r.options.OurPipes) && !exchanges.MatchString(p.name) {
				r.report(report{rule: tokenToThirdParty(), at: p.place, about: p.Name, steps: []*step{s}, message: fmt.Sprintf("The pipe %s/%s gets the step's token.", p.owner, p.name)})
			}
		}
		feeders := map[int]int{} // by what they feed
		for i, c := range s.commands {
			if c.Output == script.Piped {
				feeders[s.next(i)] = i
			}
		}
		for i, c := range s.commands {
			text := c.Text()
			run := c.Name() == "docker" && strings.Contains(text, " run ")
			sent := c.Is("curl", "wget") && !s.trades(c)
			if !run && !sent {
				continue
			}
			feeder, fed := feeders[i]
			if !s.uses(c) && !s.reads(c) && !(fed && s.tells(feeder)) && !containsAny(text, "-e "+tokenVariable, "--env "+tokenVariable) {
				continue
			}
			p := report{rule: tokenToThirdParty(), at: c.at, about: text, steps: []*step{s}, message: "The server gets the step's token."}
			if run {
				p.message = "The container gets the step's token."
			}
			r.report(p)
		}
	}
}

// reads reports whether a command gets the token in a here-document, or in a file that it reads.
func (s *step) reads(c command) bool {
	return c.Here != nil && s.holdsToken(c.Here.Vars) || c.Reads != "" && s.isFile(c, c.Reads, true) ||
		slices.ContainsFunc(c.Words, func(w script.Word) bool { return s.sends(c, w) })
}

// sends reports whether a word names a file with the token: FILE, @FILE, --flag=FILE or name=@FILE.
func (s *step) sends(c command, w script.Word) bool {
	return s.isFile(c, w.Text[strings.LastIndexAny(w.Text, "@=")+1:], true) || s.isFile(c, strings.TrimPrefix(w.Text, "-T"), true)
}

// trades reports whether the command sends a request to an address at which tokens are traded.
func (s *step) trades(c command) bool {
	return slices.ContainsFunc(c.Words, func(w script.Word) bool { return tradesAt.MatchString(w.Text) && !s.sends(c, w) })
}

// exchanges matches pipes whose purpose is to trade the token.
var exchanges = pattern.New(`(?i)oidc|conjur|vault|login|auth|assume-role|credential|secret|sts`)

// tradesAt matches addresses at which tokens are traded, and those that have a finding of their own.
var tradesAt = pattern.New(`sts\.[\w.-]*amazonaws\.com|sts\.googleapis\.com|/v1/auth/|api\.bitbucket\.org|/oauth2?/|/oidc|/token\b|VAULT_ADDR|localhost|127\.0\.0\.1`)
