package accept

import (
	"time"

	"bitbucket-oidc/internal/finding"
)

// A detection is a rule with the function that finds it in a list. Both are in one file, which has the rule's name.
type detection struct {
	rule finding.Rule

	// find returns a message, or "" for an entry that is right. There reports whether the finding that the entry accepts is there.
	find func(e Entry, now time.Time, there bool) string
}

func detections() []detection {
	return []detection{
		{Incomplete(), Entry.incomplete},
		{Expired(), Entry.expired},
		{Unused(), Entry.unused},
	}
}

// Rules lists the rules about accepting findings: in lists, and in comments of a pipelines file.
func Rules() []finding.Rule {
	var all []finding.Rule
	for _, d := range detections() {
		all = append(all, d.rule)
	}
	return all
}

// Broken is the first rule that the entry breaks, with a message; found is false where it breaks none. There reports whether the
// finding that the entry accepts is there.
func (e Entry) Broken(now time.Time, there bool) (rule finding.Rule, message string, found bool) {
	for _, d := range detections() {
		if message = d.find(e, now, there); message != "" {
			return d.rule, message, true
		}
	}
	return finding.Rule{}, "", false
}
