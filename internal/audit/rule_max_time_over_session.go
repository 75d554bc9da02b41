package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func maxTimeOverSession() finding.Rule {
	return finding.Rule{
		Name: "max-time-over-session", Severity: finding.Warning,
		Finds: "keys that can expire before the step ends",
		Why:   "Exported keys are not renewed: a long deployment fails halfway.",
		Fix:   "Raise `--duration-seconds` up to the role's maximum, lower `max-time`, or use a token file, with which the SDKs renew the keys.",
	}
}

func (r *run) maxTimeOverSession() {
	for _, s := range r.steps {
		limit, said := r.maxTime(s)
		if !s.Token || !s.exports() {
			continue
		}
		for _, c := range s.commands {
			if !strings.Contains(c.Text(), "sts assume-role-with-web-identity") || c.Name() == "echo" {
				continue
			}
			given := flag(c.Words, "--duration-seconds")
			seconds := 3600
			if given != "" {
				seconds = number(given)
			}
			if seconds > 0 && (said || given != "") && seconds < limit*60 {
				r.report(report{rule: maxTimeOverSession(), at: c.at, about: c.Text(), steps: []*step{s},
					message: fmt.Sprintf("The keys expire after %d minutes, and the step may run for %d minutes.", seconds/60, limit)})
			}
		}
	}
}

// exports reports whether the step puts keys into variables.
func (s *step) exports() bool {
	return slices.ContainsFunc(s.commands, func(c command) bool {
		for _, w := range slices.Concat(c.Assign, c.Words) {
			if containsAny(w.Text, "AWS_SESSION_TOKEN=", "AWS_SECRET_ACCESS_KEY=") || c.Name() == "read" && w.Text == "AWS_SECRET_ACCESS_KEY" {
				return true
			}
		}
		return strings.Contains(c.Text(), "configure set aws_secret_access_key")
	})
}
