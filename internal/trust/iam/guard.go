package iam

import (
	"iter"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// A guard is how a statement that lets in this issuer's tokens keeps out tokens with another value of a claim, or without the claim.
type guard struct {
	claim string            // sub or aud
	by    string            // the path of what keeps them out: a condition, or a Deny of everybody else; empty for nothing
	sets  []judgedCondition // under ForAllValues:, which hold when the claim is missing
	open  []judgedCondition // others that hold when the claim is missing or has another value
}

// missing reports whether no condition on the claim restricts it.
func (g guard) missing() bool { return g.by == "" && len(g.sets) == 0 && len(g.open) == 0 }

// failsOpen reports whether all conditions on the claim hold when it is missing or has another value. Conditions under ForAllValues:
// have a rule of their own.
func (g guard) failsOpen() bool { return g.by == "" && len(g.sets) == 0 && len(g.open) > 0 }

// guardStatements finds what guards each statement that lets in this issuer's tokens.
func (j *roleJudgement) guardStatements() {
	subject, audience := j.denier("sub"), j.denier("aud")
	for s := range j.grants() {
		s.sub, s.aud = j.guard(s, "sub", subject), j.guard(s, "aud", audience)
	}
}

// grants are the statements that let in this issuer's tokens.
func (j *roleJudgement) grants() iter.Seq[*judgedStatement] {
	return func(yield func(*judgedStatement) bool) {
		for i := range j.statements {
			if s := &j.statements[i]; s.named && s.effect == "Allow" && !yield(s) {
				return
			}
		}
	}
}

// guard finds what guards a statement on a claim. denier is the path of a Deny that does so for all statements, or empty.
func (j *roleJudgement) guard(s *judgedStatement, claim, denier string) guard {
	g := guard{claim: claim, by: denier}
	key := j.key(claim)
	required := slices.ContainsFunc(s.conditions, func(c judgedCondition) bool { return c.lower == key && c.requiresKey() })
	for _, c := range s.conditions {
		switch {
		case c.lower != key:
		case c.requiresKey(): // any value will do
		case c.set == forAllValues && !required:
			g.sets = append(g.sets, c)
		case c.null || c.negated || c.ifExists && !required:
			g.open = append(g.open, c)
		case claim == "aud" && slices.ContainsFunc(c.values, func(v string) bool { return matchesEverything(v) || j.isItself(c.condition, v) }):
			// Any audience will do. For a subject, aws-sub-wildcard says so.
		default:
			g.by = c.path
		}
	}
	return g
}

// requiresKey reports whether all that a condition asks for is that the key is there.
func (c judgedCondition) requiresKey() bool {
	has := func(value string) bool {
		return slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, value) })
	}
	return c.null && c.set == single && has("false") && !has("true")
}

// matchesEverything reports whether a value consists of stars only.
func matchesEverything(value string) bool { return value != "" && strings.Trim(value, "*") == "" }

// denier is the path of a Deny statement, also of a resource control policy, that denies every token with another value of a claim:
// all its other conditions hold. It is empty where there is none.
func (j *roleJudgement) denier(claim string) string {
	for _, s := range slices.Concat(j.statements, j.denied) {
		if s.effect == "Deny" && s.names == trust.Yes && s.covers == trust.Yes && j.deniesOthers(s, claim) {
			return s.path
		}
	}
	return ""
}

// deniesOthers reports whether the conditions of a Deny hold for every token with another value of a claim.
func (j *roleJudgement) deniesOthers(s judgedStatement, claim string) bool {
	denies := false
	for _, c := range s.conditions {
		about := c.lower == j.key(claim) && c.negated && c.variable
		if about && !slices.ContainsFunc(c.values, func(v string) bool { return j.spares(c.condition, claim, v) }) {
			denies = true
		} else if c.holds != trust.Yes {
			return false
		}
	}
	return denies
}

// spares reports whether one value of a Deny with a negated operator spares more than one repository or one audience.
func (j *roleJudgement) spares(c condition, claim, value string) bool {
	if claim == "aud" {
		return j.isItself(c, value) || c.like && matchesEverything(value)
	}
	v := j.subjectValue(c, value)
	return v.state == trust.Yes && (v.everyRepository() || v.openUUID())
}

// guardFix is the condition that guards a claim for this identity.
func (j *roleJudgement) guardFix(claim string) finding.Fix {
	if claim == "aud" {
		return j.audienceFix(false)
	}
	return j.subjectFix(false)
}
