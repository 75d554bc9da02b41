package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/trust"
)

// These bound the lists of audiences that are tried for one policy.
const (
	mostAudiences = 10  // that a step can ask for; Source: Atlassian, "Bitbucket Pipelines OIDC now supports multiple audiences"
	mostLists     = 128 // with different results
	mostFilled    = 8   // patterns whose wildcards become each other's instances
)

// anyAudience is what a step depends on if no list that was tried lets it in, and another list may.
const anyAudience = "the audiences that the step asks for"

// An audienceCondition is a condition on the audiences, and whether its policy has variables.
type audienceCondition struct {
	condition
	variables bool
}

// audienceConditions are the conditions on the audiences in the role's policies.
func (a *policyReach) audienceConditions(role role) []audienceCondition {
	var all []audienceCondition
	add := func(p policy) {
		for _, s := range p.statements {
			for _, c := range s.conditions {
				if c.lower == a.key("aud") {
					all = append(all, audienceCondition{c, p.variables})
				}
			}
		}
	}
	add(role.policy)
	for _, c := range role.controls {
		add(c.policy)
	}
	return all
}

// lists are the lists of audiences that steps can have. The first ones, as many as usual says, are of steps that ask for nothing more. If
// exact is false, another list may have a result that none of these has.
//
// A list is a set here: a condition asks whether any audience matches its values, or whether all do. So one list stands for all lists
// that make each condition come out alike, and a list grows by one audience until nothing new comes out.
func (a *policyReach) lists(role role) (all [][]string, usual int, exact bool) {
	conditions := a.audienceConditions(role)
	if len(role.policy.refusals) > 0 {
		conditions = nil // nobody gets in, whatever audiences they have
	}
	named, exact := instances(conditions)
	all, usual = a.u.AudienceLists(named)
	if len(conditions) < 2 && exact {
		return all, usual, true // a list with an audience that matches, and one with another that does not
	}
	outcomes := map[string]bool{}
	var growing [][]string
	for _, list := range all[:usual] {
		if len(list) == 1 {
			growing = append(growing, list)
		}
	}
	for ; len(growing) > 0; growing = growing[1:] {
		list := growing[0]
		if len(list) > mostAudiences {
			continue
		}
		for _, next := range append(slices.Clone(named), bitbucket.MadeUpAudience) {
			if next == "" || slices.Contains(list, next) {
				continue
			}
			longer := append(slices.Clone(list), next)
			slices.Sort(longer[1:])
			if outcome := a.outcome(conditions, longer); !outcomes[outcome] {
				if len(outcomes) == mostLists {
					return all, usual, false
				}
				outcomes[outcome] = true
				growing = append(growing, longer)
				if !slices.ContainsFunc(all, func(l []string) bool { return slices.Equal(l, longer) }) {
					all = append(all, longer)
				}
			}
		}
	}
	return all, usual, exact
}

// outcome is how the conditions come out for a list of audiences, as a text.
func (a *policyReach) outcome(conditions []audienceCondition, list []string) string {
	r := newRequest(oidc.Claims{Issuer: a.u.Issuer, Audience: list})
	text := make([]byte, len(conditions))
	for i, c := range conditions {
		text[i] = "nuy"[r.evaluate(c.condition, c.variables).holds]
	}
	return string(text)
}

// instances are audiences that the conditions' values match. If exact is true, they and one more stand for all audiences: each value is
// compared as a text, and has no wildcard and no variable.
func instances(conditions []audienceCondition) (all []string, exact bool) {
	exact = true
	var folded, wild []string
	for _, c := range conditions {
		for _, value := range c.values {
			text := instance(value)
			all = append(all, text)
			switch {
			case c.null:
			case strings.Contains(value, "${") || !c.literal && !c.like || c.arn:
				exact = false
			case c.anyCase:
				all, folded = append(all, value), append(folded, value)
			case c.literal:
				all = append(all, value)
			case matchesAll(value):
			case text != value:
				wild, exact = append(wild, value), false
			}
		}
	}
	for _, value := range folded {
		all = append(all, respelt(value, all))
	}
	wild = distinct(wild)
	wild = wild[:min(len(wild), mostFilled)]
	for _, value := range wild {
		for _, filling := range append([]string{"", "0ddba11f"}, wild...) {
			filling = strings.NewReplacer("*", "", "?", "x").Replace(filling)
			all = append(all, strings.NewReplacer("*", filling, "?", "~").Replace(value))
		}
	}
	return distinct(all), exact
}

// withMore reports whether a condition on the audiences holds if a step has more audiences than those for which it holds or does not.
func (c condition) withMore(holds trust.Truth) trust.Truth {
	switch {
	case c.null:
		return holds
	case c.set == forAnyValue && holds == trust.Yes, c.set == forAllValues && holds == trust.No:
		return holds
	case c.set != single && c.like && !c.arn && slices.ContainsFunc(c.values, matchesAll):
		return trust.TruthOf(!c.negated)
	}
	return trust.Unknown
}

// matchesAll reports whether a pattern matches every text.
func matchesAll(value string) bool { return value != "" && strings.Trim(value, "*") == "" }

// instance is an audience that a pattern matches.
func instance(value string) string {
	return strings.NewReplacer("*", "x", "?", "x").Replace(value)
}

// respelt is a text with one letter of ASCII in its other case, so it is none of the texts in taken; or the text, if there is no such.
func respelt(text string, taken []string) string {
	for i, r := range []byte(text) {
		if r|' ' < 'a' || r|' ' > 'z' {
			continue
		}
		if other := text[:i] + string(r^' ') + text[i+1:]; !slices.Contains(taken, other) {
			return other
		}
	}
	return text
}
