package iam

import (
	"strings"

	"bitbucket-oidc/internal/finding"
)

func subBoundary() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-boundary", Severity: finding.Error,
		Finds: "a `:sub` pattern with a wildcard inside or directly after the repository's UUID",
		Why:   "Without the colon the pattern ends in the middle of a part. A shortened UUID matches every repository whose UUID begins with the same characters.",
		Fix:   "Write the whole UUID, its closing brace and a colon before the `*`.",
	}
}

func (j *roleJudgement) findSubBoundary() {
	j.findSubject(finding.Error, "aws-sub-boundary", "has its wildcard inside or directly after the repository's UUID, with no colon between them", func(v subjectValue) bool {
		return v.admits && v.openUUID()
	})
}

// openUUID reports whether the value leaves open how the UUID of the repository ends.
func (v subjectValue) openUUID() bool {
	return v.condition.like && !v.everyRepository() && strings.ContainsAny(strings.TrimLeft(v.beginning(), "*"), "*?")
}
