package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// compile turns the statements into sieves, for one list of audiences. If the list is open, the step may have asked for others too.
func (a *policyReach) compile(role role, audience []string, open bool) []sieve {
	id := bitbucket.Identity{}
	id.Claims.Issuer, id.Claims.Audience, id.Claims.Subject = a.u.Issuer, audience, "{subject}"
	j := roleJudgement{id: id, request: newRequest(id.Claims), role: role}
	if open {
		j.request.unsaid = a.key("aud")
	}
	if len(role.policy.refusals) > 0 {
		return nil // AWS would not store the policy, so nobody gets in
	}
	var all []sieve
	for _, s := range role.policy.statements {
		judged := judgedStatement{statement: s, named: j.namesProvider(s), covers: s.covers()}
		sieve := sieve{deny: s.effect == "Deny", matches: min(judged.aboutWebIdentities(), judged.covers)}
		if sieve.matches == trust.No || s.effect != "Deny" && s.effect != "Allow" {
			continue
		}
		a.note(sieve.matches, everyoneUnsaid)
		sieve.clauses = a.clauses(j.request, s, role.policy.variables)
		all = append(all, sieve)
	}
	for _, c := range role.controls {
		for _, s := range c.policy.statements {
			judged := j.control(c, s)
			if judged.covers == trust.No {
				continue
			}
			a.note(judged.matches, judged.why)
			all = append(all, sieve{deny: true, matches: judged.matches, clauses: a.clauses(j.request, s, c.policy.variables)})
		}
	}
	return all
}

// clauses turns the conditions of a statement into clauses.
func (a *policyReach) clauses(request request, s statement, variables bool) []clause {
	var all []clause
	first := map[string]int{}
	for i, c := range s.conditions {
		clause := a.clause(request, c, variables)
		clause.twin = -1
		key := fold(c.name) + " " + c.lower
		if at, twice := first[key]; twice {
			clause.twin = at
		} else {
			first[key] = i
		}
		all = append(all, clause)
	}
	return all
}

// clause turns a condition into a clause.
func (a *policyReach) clause(request request, c condition, variables bool) clause {
	if c.lower != a.subjectKey() {
		known := request
		if !slices.ContainsFunc(c.values, func(value string) bool { return hasVariable(value, request.unsaid) }) && c.lower == request.unsaid {
			known.unsaid = "" // the first audience is known
		}
		judged := known.evaluate(c, variables)
		ofSubject := func(value string) bool { return hasVariable(value, a.subjectKey()) }
		if len(judged.actual) > 0 && variables && c.variable && slices.ContainsFunc(c.values, ofSubject) {
			judged.holds, judged.why = trust.Unknown, "a policy variable for the subject"
		}
		if c.lower == request.unsaid {
			judged.holds, judged.why = c.withMore(judged.holds), anyAudience
		}
		a.note(judged.holds, judged.why)
		return clause{holds: judged.holds}
	}
	if c.match == nil || len(c.values) == 0 || c.null {
		judged := request.evaluate(c, variables)
		a.note(judged.holds, judged.why)
		return clause{holds: judged.holds}
	}
	got := clause{decides: true, negated: c.negated}
	for _, value := range c.values {
		a.value(&got, request, c, value, variables && c.variable)
	}
	return got
}

// note keeps the first reason for which something is unknown.
func (a *policyReach) note(holds trust.Truth, why string) {
	if holds == trust.Unknown && a.why == "" {
		a.why = why
	}
}

// value adds one value of a condition to its clause.
func (a *policyReach) value(to *clause, request request, c condition, value string, variables bool) {
	unsure := func(why string) {
		to.holds = max(to.holds, trust.Unknown)
		a.note(trust.Unknown, why)
	}
	text := c.literal || c.like && !c.arn
	if variables && hasVariable(value, a.subjectKey()) {
		if text && isVariable(value, a.subjectKey()) {
			to.holds = trust.Yes // every subject equals itself
			return
		}
		unsure("a policy variable for the subject in the value of " + c.key)
		return
	}
	p, state := request.expand(value, c.like, variables)
	switch {
	case state == trust.No:
	case state == trust.Unknown:
		unsure("a policy variable whose value neither the policy nor the token contains")
	case text, c.boolean && !strings.Contains(value, "${"):
		to.holding = append(to.holding, a.atom(p, c.anyCase || c.boolean))
	case c.arn && !c.negated && c.set != forAllValues: // a value that differs as a text does not match: see matchSomeARN
		to.unsure = append(to.unsure, a.atom(p, false))
		a.note(trust.Unknown, "how "+c.name+" compares a subject, which AWS does not say")
	default:
		unsure("how " + c.name + " compares a subject, which AWS does not say")
	}
}

// atom is the index of a pattern among the atoms of the policy, to which it adds the pattern if it is new.
func (a *policyReach) atom(p pattern, anyCase bool) int {
	read := newAtom(p, anyCase)
	key := string(runesKey(read.pattern))
	i, ok := a.index[key]
	if !ok {
		i = len(a.atoms)
		a.index[key] = i
		a.atoms = append(a.atoms, read)
	}
	return i
}

// runesKey is a text that is different for different patterns, also where one has a wildcard and the other the character * or ?.
func runesKey(p pattern) []rune {
	key := make([]rune, 0, len(p))
	for _, r := range p {
		switch r {
		case many:
			r = 0x10fffe
		case one:
			r = 0x10ffff
		}
		key = append(key, r)
	}
	return key
}

// isVariable reports whether a value is one policy variable, for a key in lower case, and nothing else.
func isVariable(value, key string) bool {
	name, begins := strings.CutPrefix(value, "${")
	name, ends := strings.CutSuffix(name, "}")
	return begins && ends && strings.EqualFold(strings.TrimSpace(name), key)
}

// hasVariable reports whether a value has a policy variable for a key in lower case. It reads variables as [request.expand] does.
func hasVariable(value, key string) bool {
	for {
		_, after, found := strings.Cut(value, "${")
		name, rest, closed := strings.Cut(after, "}")
		if !found || !closed {
			return false
		}
		if variableKey(name) == key {
			return true
		}
		value = rest
	}
}
