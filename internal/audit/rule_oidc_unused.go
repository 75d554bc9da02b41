package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func oidcUnused() finding.Rule {
	return finding.Rule{
		Name: "oidc-unused", Severity: finding.Warning,
		Finds: "a token that the step does not use",
		Why:   "Every command of the step, and everything that it installs, could use the token.",
		Fix:   "Remove `oidc` from the step.",
	}
}

// oidcUnused finds steps with a token and only commands that are known not to sign in.
func (r *run) oidcUnused() {
	for _, s := range r.steps {
		if !s.Token || len(s.pipes) > 0 || len(s.opaque) > 0 || len(s.Clouds) > 0 || s.agent() {
			continue
		}
		quiet := !slices.ContainsFunc(s.commands, func(c command) bool {
			opaque := c.Is("eval", ".", "source") || strings.HasPrefix(c.Name(), "$") || strings.Contains(c.Text(), "-c ")
			return opaque || signsItself(c) || s.mentions(c)
		})
		if quiet && len(s.commands) > 0 {
			r.report(report{rule: oidcUnused(), at: s.src.OIDC.Place, about: "oidc", steps: []*step{s}, message: "The step has a token, and none of its commands signs in with it."})
		}
	}
}

// mentions reports whether the command names the token's variable, even as text.
func (s *step) mentions(c command) bool {
	if c.Here != nil && strings.Contains(c.Here.Text, tokenVariable) {
		return true
	}
	for _, w := range slices.Concat(c.Assign, c.Words) {
		if strings.Contains(w.Text, tokenVariable) || s.holdsToken(w.Vars) {
			return true
		}
	}
	return false
}
