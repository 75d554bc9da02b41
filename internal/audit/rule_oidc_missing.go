package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func oidcMissing() finding.Rule {
	return finding.Rule{
		Name: "oidc-missing", Severity: finding.Error,
		Finds: "a sign-in by token on a step without a token",
		Why:   "The variable with the token is empty. The error messages of the clouds then look as if the role were wrong, and Atlassian's pipes use stored keys with no more than a warning.",
		Fix:   "oidc: true",
	}
}

// oidcMissing finds what needs the token on steps that have none.
func (r *run) oidcMissing() {
	add := func(s *step, at place, what string) {
		r.report(report{
			rule: oidcMissing(), at: at, about: what, steps: []*step{s}, fix: finding.Fix{Kind: finding.YAML, Text: "oidc: true"},
			message: fmt.Sprintf("%s needs the step's token, and the step has no `oidc: true`.", what), replace: r.insert(s, "oidc: true"),
		})
	}
	for _, s := range r.steps {
		if s.Token || s.src.Child != "" {
			continue
		}
		if i := s.src.Image; i != nil && i.OIDCRole != "" {
			add(s, i.RoleAt, "The image's `oidc-role`")
		}
		for _, p := range s.pipes {
			if isOurs(p, r.options.OurPipes) {
				if _, command := p.Value("COMMAND"); command == "" || command == "login" || command == "explain" {
					add(s, p.place, "The pipe "+p.name)
				}
				continue
			}
			for _, name := range []string{"AWS_OIDC_ROLE_ARN", "GOOGLE_OIDC_CONFIG_FILE"} {
				if v, value := p.Value(name); value != "" {
					add(s, v.Place, "The pipe's variable "+name)
				}
			}
			for _, v := range p.Variables {
				if takes(strings.Join(v.Values, " "), tokenVariable) {
					add(s, v.Place, "The pipe's variable "+v.Name)
				}
			}
		}
		tested := slices.ContainsFunc(s.commands, func(c command) bool {
			return c.Is("[", "[[", "test") && s.uses(c) || strings.Contains(c.Text(), tokenVariable+":-")
		})
		if tested {
			continue
		}
		for _, c := range s.commands {
			if s.uses(c) || slices.ContainsFunc(c.Assign, holds(s)) || c.Here != nil && s.holdsToken(c.Here.Vars) {
				add(s, c.at, "The command")
				break
			}
		}
	}
}

// insert is the edit that gives a step a key, in front of its first one, or nil where the step is not written as a block of keys
// in the place that runs it.
func (r *run) insert(s *step, text string) *finding.Edit {
	at := s.src.Defined
	if s.src.Fields == nil || at.Line <= s.src.Line || at.Line > len(r.source) || at.Column > len(r.source[at.Line-1]) || s.src.OIDC != nil {
		return nil
	}
	line := r.source[at.Line-1]
	if before, rest := line[:at.Column-1], line[at.Column-1:]; strings.TrimSpace(before) != "" || !blockKey.MatchString(rest) {
		return nil
	}
	return &finding.Edit{
		At:   finding.Place{Line: at.Line, Column: at.Column, EndLine: at.Line, EndColumn: at.Column},
		Text: text + "\n" + strings.Repeat(" ", at.Column-1),
	}
}

var blockKey = pattern.New(`^[a-z-]+:(?: |$)`)
