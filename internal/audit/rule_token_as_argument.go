package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func tokenAsArgument() finding.Rule {
	return finding.Rule{
		Name: "token-as-argument", Severity: finding.Note,
		Finds: "the token as a word of a command",
		Why:   "Every process of the step can read command lines, and `set -x` prints them.",
		Fix:   "Give the program a file with the token, such as `file://` or `@` with a path below /tmp.",
	}
}

func (r *run) tokenAsArgument() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, c := range s.commands {
			if builtIn(c.Name()) || azLogin.MatchString(c.Text()) {
				continue
			}
			for i, w := range c.Words[1:] {
				// Of some clients a flag is the only way in.
				before := c.Words[i].Text
				if s.holdsToken(w.Vars) && !strings.Contains(before, "jwt") && !strings.HasPrefix(w.Text, "--jwt") && !strings.HasPrefix(w.Text, "--oidc-jwt") {
					r.report(report{rule: tokenAsArgument(), at: c.at, about: c.Text(), steps: []*step{s}, message: fmt.Sprintf("The token stands on the command line of %s.", c.Name())})
					break
				}
			}
		}
	}
}

// builtIn are words of the shell itself: their arguments are on no command line.
func builtIn(name string) bool {
	return slices.Contains([]string{"echo", "printf", "export", "declare", "local", "readonly", "typeset", "test", "[", "[[", "read", "set", "eval", ":", "return", "case", "for", "if", "unset", "Write-Host", "Write-Output", ""}, name)
}
