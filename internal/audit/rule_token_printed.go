package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/script"
)

func tokenPrinted() finding.Rule {
	return finding.Rule{
		Name: "token-printed", Severity: finding.Error,
		Finds: "a command that prints the token into the log",
		Why:   "Whoever reads the log can use the token while it is valid. That Bitbucket masks the token is not confirmed.",
		Fix:   "Remove the command. `pipe explain` prints the token's claims, which are no secret.",
	}
}

// tokenPrinted finds commands that print the token, the whole environment, or themselves with the token in them.
func (r *run) tokenPrinted() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		trace := false
		for i, c := range s.commands {
			text := c.Text()
			p := report{rule: tokenPrinted(), at: c.at, about: text, steps: []*step{s}}
			switch {
			case c.Name() == "set" && traces.MatchString(text):
				trace = !strings.Contains(text, "+x") && !strings.Contains(text, "+o")
				continue
			case s.tells(i) && s.shown(i), s.dumps(i):
				p.message = "The command prints the step's token into the log."
			case trace && (s.uses(c) || slices.ContainsFunc(c.Assign, holds(s))):
				p.message, p.fix = "`set -x` prints the command with the step's token in it.", finding.Fix{Kind: finding.Shell, Text: "set +x"}
			default:
				continue
			}
			r.report(p)
		}
	}
}

var traces = pattern.New(`^set .*[-+](?:[a-z]*x|o xtrace)`)

// dumps reports whether a command prints the whole environment into the log.
func (s *step) dumps(i int) bool {
	c := s.commands[i]
	switch c.Text() {
	case "env", "printenv", "set", "export", "export -p", "declare -p", "declare -x", "Get-ChildItem env:", "gci env:", "printenv " + tokenVariable:
	default:
		return false
	}
	if c.Output == script.Piped {
		if next := s.commands[s.next(i)]; next.Name() == "grep" {
			pattern := ""
			for _, w := range next.Words[1:] {
				if strings.HasPrefix(w.Text, "-") && strings.Contains(w.Text, "v") || strings.HasPrefix(w.Text, "-c") || strings.HasPrefix(w.Text, "-q") {
					return false
				}
				if !strings.HasPrefix(w.Text, "-") && pattern == "" {
					pattern = strings.Trim(w.Text, "^")
				}
			}
			return pattern != "" && strings.Contains(tokenVariable, strings.ToUpper(pattern))
		}
	}
	return s.shown(i)
}
