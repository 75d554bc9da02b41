package accept

import (
	"time"

	"bitbucket-oidc/internal/finding"
)

// Incomplete is about an entry or a comment that lacks something.
func Incomplete() finding.Rule {
	return finding.Rule{
		Name: "accept-incomplete", Severity: finding.Warning,
		Finds: "a finding that is accepted without a reason, or without a date where a date is needed",
		Why:   "Whoever reads it later cannot know whether the reason still holds. It accepts nothing.",
		Fix:   "Write why the finding is accepted, and in a list until when.",
	}
}

func (e Entry) incomplete(time.Time, bool) string {
	if e.Missing == "" {
		return ""
	}
	return "The entry lacks " + e.Missing + ", so it accepts nothing."
}
