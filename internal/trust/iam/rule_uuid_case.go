package iam

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func uuidCase() finding.Rule {
	return finding.Rule{
		Name: "aws-uuid-case", Severity: finding.Error,
		Finds: "a UUID whose upper and lower case differs from the token's, under a case-sensitive operator",
		Why:   "AWS compares these values case-sensitively, and Bitbucket writes UUIDs in lower case.",
		Fix:   "Write the UUID in lower case.",
	}
}

func (j *roleJudgement) findUUIDCase() {
	const message = "has a UUID whose upper and lower case differs from the token's, and the operator is case-sensitive"
	j.findSubject(finding.Error, "aws-uuid-case", message, subjectValue.hasForeignCase)
	for _, v := range j.audienceValues() {
		if !v.matches && v.matchesAnyCase && !v.condition.anyCase {
			j.Find(finding.Error, "aws-uuid-case", v.condition.path, fmt.Sprintf("%.200q %s.", v.text, message), j.audienceFix(v.condition.negated))
		}
	}
}

// hasForeignCase reports whether a case-sensitive operator compares the subject with a UUID in another case than the subject has it or,
// where the whole subject is in lower case, as Bitbucket writes it, with any UUID that has capital letters.
func (v subjectValue) hasForeignCase() bool {
	if v.condition.anyCase || v.braceless {
		return false
	}
	subject := v.claims.Subject
	lower := subject == strings.ToLower(subject)
	return slices.ContainsFunc(bitbucket.UUIDs(v.text), func(u bitbucket.Span) bool {
		uuid := v.text[u.Start:u.End]
		if strings.Contains(subject, uuid) {
			return false
		}
		return lower && uuid != strings.ToLower(uuid) || strings.Contains(strings.ToLower(subject), strings.ToLower(uuid))
	})
}
