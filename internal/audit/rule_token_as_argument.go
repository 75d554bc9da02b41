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
		Finds: "the token on a command line",
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
			expression := strings.HasSuffix(c.Name(), ",") // of PowerShell
			if expression || builtIn(c.Name()) || azLogin.MatchString(c.Text()) {
				continue
			}
			for i, w := range c.Words[1:] {
				// Some clients take the token only by a flag, which is this word or the one before it.
				flagged := strings.Contains(c.Words[i].Text, "jwt") || hasAnyPrefix(w.Text, "--jwt", "--oidc-jwt")
				if s.holdsToken(w.Vars) && !flagged {
					r.report(report{rule: tokenAsArgument(), at: c.at, about: c.Text(), steps: []*step{s}, message: fmt.Sprintf("The command line of %s contains the token.", c.Name())})
					break
				}
			}
		}
	}
}

// builtIn reports whether the shell itself runs the command: its arguments are on no command line.
func builtIn(name string) bool {
	return slices.Contains([]string{
		"echo", "printf", "export", "declare", "local", "readonly", "typeset", "test", "[", "[[", "read", "set", "eval", ":", "return", "case", "for", "if", "unset",
		"Write-Host", "Write-Output", "Set-Content", "Add-Content", "Set-Item", "",
	}, name)
}
