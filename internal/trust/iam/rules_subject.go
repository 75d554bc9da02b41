package iam

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// subjectRules look at a value for the subject. Operators that do not compare strings are left to the steps.
func (j *roleJudgement) subjectRules(effect string, c judgedCondition, value string) {
	if !c.variable {
		return
	}
	p, state := j.request.expand(value, true, j.role.policy.variables)
	switch state {
	case trust.Unknown:
		return
	case trust.No:
		p = nil // a variable without a value: nothing matches
	}
	faults := neverMatches(value, p, c.operator, j.id.Claims)
	if len(faults) == 0 && effect == "Allow" && !c.negated {
		faults = j.letsInTooMuch(c.condition, value, p)
	}
	for _, f := range faults {
		j.Find(f.severity, f.rule, c.path, fmt.Sprintf("%.200q %s.", value, f.message), j.subjectFix(c.negated))
	}
}

func subWildcard() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-wildcard", Anyone: true, Severity: finding.Error,
		Finds: "a `:sub` pattern that matches every repository",
		Why:   "`*` also matches colons, so that `*`, `*:*` and `{*}:*` match every subject. The values of a list are alternatives: with one such value the others restrict nothing.",
		Fix:   "Remove the value, or begin it with the repository's UUID in braces.",
	}
}

// letsInTooMuch finds what a value for the subject lets in beyond one environment of one repository.
func (j *roleJudgement) letsInTooMuch(c condition, value string, p pattern) []subjectFault {
	switch {
	case j.isItself(c, value):
		return []subjectFault{{"aws-sub-wildcard", finding.Error, "stands for whatever subject the token has, so that every repository of the workspace gets in"}}
	case c.like:
		return matchesTooMuch(value, p)
	}
	return nil
}

// isItself reports whether a value has a policy variable for the very key that it is compared with.
func (j *roleJudgement) isItself(c condition, value string) bool {
	if !c.variable || !j.role.policy.variables {
		return false
	}
	for _, after, found := strings.Cut(value, "${"); found; _, after, found = strings.Cut(after, "${") {
		if name, _, closed := strings.Cut(after, "}"); closed && variableKey(name) == c.lower {
			return true
		}
	}
	return false
}
