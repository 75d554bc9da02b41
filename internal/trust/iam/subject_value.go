package iam

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/trust"
)

// A subjectValue is one value with which a condition compares the subject.
type subjectValue struct {
	condition condition
	text      string
	pattern   pattern     // with wildcards, also under an operator that takes them literally; empty where state is no
	state     trust.Truth // whether the policy variables in the text have values
	itself    bool        // a policy variable in it stands for the subject that it is compared with
	claims    *oidc.Claims

	braceless bool // it lacks a brace, and no other rule looks at it

	// admits says that the identities that the value matches get in, so the rules also look at how many these are. A value that never
	// matches, or matches once, is not looked at.
	admits bool
}

// subjectValue reads a value of a condition on the subject.
func (j *roleJudgement) subjectValue(c condition, text string) subjectValue {
	v := subjectValue{condition: c, text: text, itself: j.isItself(c, text), claims: &j.id.Claims}
	v.pattern, v.state = j.request.expand(text, true, j.role.policy.variables)
	if v.state == trust.No {
		v.pattern = nil // nothing matches
	}
	return v
}

// readSubjectValues reads the values that the rules look at one by one: a list can have a wrong value next to a right one. The rules do not
// look at values with an unknown policy variable, nor at operators that do not compare strings.
func (j *roleJudgement) readSubjectValues() {
	key := j.key("sub")
	for _, s := range j.statements {
		for _, c := range s.conditions {
			if !s.named || c.lower != key || !c.variable {
				continue
			}
			for _, text := range c.values {
				if v := j.subjectValue(c.condition, text); v.state != trust.Unknown {
					v.braceless = v.lacksBraces()
					v.admits = s.effect == "Allow" && !c.negated && !v.braceless && !v.hasForeignCase() && !v.hasOtherShape() && !v.pinsStep()
					j.subjectValues = append(j.subjectValues, v)
				}
			}
		}
	}
}

// isItself reports whether a value has a policy variable for the very key that it is compared with.
func (j *roleJudgement) isItself(c condition, value string) bool {
	return c.variable && j.role.policy.variables && hasVariable(value, c.lower)
}

// findSubject makes a finding for each value that breaks a rule.
func (j *roleJudgement) findSubject(severity finding.Severity, rule, message string, found func(subjectValue) bool) {
	for _, v := range j.subjectValues {
		if found(v) && !j.Skip(rule) {
			j.Find(severity, rule, v.condition.path, fmt.Sprintf("%.200q %s.", v.text, message), j.subjectFix(v.condition.negated))
		}
	}
}

// beginning is the first part of the value.
func (v subjectValue) beginning() string {
	first, _, _ := strings.Cut(v.text, ":")
	return first
}
