package accept

import (
	"time"

	"bitbucket-oidc/internal/finding"
)

// Unused is about an entry or a comment that accepts a finding which is not there.
func Unused() finding.Rule {
	return finding.Rule{
		Name: "accept-unused", Severity: finding.Warning,
		Finds: "a finding that is accepted and not there",
		Why:   "The finding was fixed, or its name is misspelt. An entry that stays would hide the next such finding.",
		Fix:   "Remove the entry or the comment.",
	}
}

func (e Entry) unused(_ time.Time, there bool) string {
	if there {
		return ""
	}
	return "The entry accepts the finding " + e.ID + ", which is not there."
}
