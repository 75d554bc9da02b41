package accept

import (
	"time"

	"bitbucket-oidc/internal/finding"
)

// Expired is about an entry after its last day.
func Expired() finding.Rule {
	return finding.Rule{
		Name: "accept-expired", Severity: finding.Warning,
		Finds: "a finding that was accepted until a day that is over",
		Why:   "Somebody wanted to look at the finding again. The entry accepts nothing any more.",
		Fix:   "Fix the finding, or decide again until when it is accepted.",
	}
}

func (e Entry) expired(now time.Time, _ bool) string {
	if !e.over(now) {
		return ""
	}
	return "The finding " + e.ID + " was accepted until " + e.Until.Format(time.DateOnly) + ", which is over."
}
