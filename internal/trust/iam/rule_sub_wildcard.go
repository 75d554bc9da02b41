package iam

import "bitbucket-oidc/internal/finding"

func subWildcard() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-wildcard", Anyone: true, Severity: finding.Error,
		Finds: "a `:sub` pattern that matches every repository",
		Why:   "`*` also matches colons, so `*`, `*:*` and `{*}:*` match every subject. The values of a list are alternatives: with one such value the others restrict nothing.",
		Fix:   "Remove the value, or begin it with the repository's UUID in braces.",
	}
}

func (j *roleJudgement) findSubWildcard() {
	j.findSubject(finding.Error, "aws-sub-wildcard", "matches steps of every repository of the workspace", func(v subjectValue) bool {
		return v.admits && v.everyRepository()
	})
}

// everyRepository reports whether the value matches steps of every repository, perhaps only of some environments.
func (v subjectValue) everyRepository() bool {
	return v.itself || v.condition.like && v.pattern.matchesAnyRepository()
}
