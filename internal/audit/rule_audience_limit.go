package audit

import (
	"slices"
	"unicode/utf8"

	"bitbucket-oidc/internal/finding"
)

func audienceLimit() finding.Rule {
	return finding.Rule{
		Name: "audience-limit", Severity: finding.Error,
		Finds: "more than 10 audiences, one of more than 150 characters, or an empty one",
		Why:   "Bitbucket refuses the file.",
		Fix:   "Remove or shorten the audience. The service must expect the shorter audience.",
	}
}

func (r *run) audienceLimit() {
	for _, s := range r.steps {
		o := s.src.OIDC
		if o == nil {
			continue
		}
		if o.Empty || len(o.Audiences) > 10 || slices.ContainsFunc(o.Audiences, func(a string) bool { return utf8.RuneCountInString(a) > 150 }) {
			r.report(report{rule: audienceLimit(), at: o.ListAt, about: "audiences", steps: []*step{s}, message: "Bitbucket takes at most 10 audiences of 1 to 150 characters."})
		}
	}
}
