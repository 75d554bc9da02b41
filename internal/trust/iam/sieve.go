package iam

import (
	"slices"

	"bitbucket-oidc/internal/trust"
)

// A clause is what a condition says of the subject, for one list of audiences.
type clause struct {
	holds   trust.Truth // for a subject that matches none of the atoms
	decides bool        // whether the condition compares the subject; else holds is the answer
	holding []int       // a subject that matches one of these atoms makes it hold
	unsure  []int       // a subject that matches one of these atoms makes it unknown
	negated bool
	twin    int // the index of the first condition with the same operator and key, or -1
}

// eval reports whether the condition holds for a subject that matches the atoms in met.
func (c clause) eval(met []uint64) trust.Truth {
	if !c.decides {
		return c.holds
	}
	match := c.holds
	for _, i := range c.holding {
		if met[i/64]&(1<<(i%64)) != 0 {
			match = trust.Yes
		}
	}
	for _, i := range c.unsure {
		if met[i/64]&(1<<(i%64)) != 0 {
			match = max(match, trust.Unknown)
		}
	}
	if c.negated {
		return match.Not()
	}
	return match
}

// A sieve is what a statement says of the subject, for one list of audiences.
type sieve struct {
	deny    bool
	matches trust.Truth // apart from its conditions
	clauses []clause
}

// eval reports whether the statement matches a subject that matches the atoms in met.
func (s sieve) eval(met []uint64) trust.Truth {
	holds := s.matches
	twins := false
	for _, c := range s.clauses {
		holds = min(holds, c.eval(met))
		twins = twins || c.twin >= 0
	}
	if !twins {
		return holds
	}
	// Two conditions that differ only in the case of their key are unknown where they differ in their result, as in reconcile.
	each := make([]trust.Truth, len(s.clauses))
	for i, c := range s.clauses {
		each[i] = c.eval(met)
		if c.twin >= 0 && each[c.twin] != each[i] {
			each[i], each[c.twin] = trust.Unknown, trust.Unknown
		}
	}
	return min(s.matches, slices.Min(each))
}

func (s sieve) equal(t sieve) bool {
	return s.deny == t.deny && s.matches == t.matches && slices.EqualFunc(s.clauses, t.clauses, clause.equal)
}

func (c clause) equal(d clause) bool {
	return c.holds == d.holds && c.decides == d.decides && c.negated == d.negated && c.twin == d.twin &&
		slices.Equal(c.holding, d.holding) && slices.Equal(c.unsure, d.unsure)
}

// A reading is a policy for steps with one list of audiences.
type reading struct {
	audience []string
	sieves   []sieve
	why      string // what is unknown of the steps themselves; empty if nothing is
}

// admits reports whether the policy lets in a subject: a matching Deny outweighs a matching Allow.
func (r reading) admits(met []uint64) trust.Truth {
	allowed, denied := trust.No, trust.No
	for _, s := range r.sieves {
		if s.deny {
			denied = max(denied, s.eval(met))
		} else {
			allowed = max(allowed, s.eval(met))
		}
	}
	return min(allowed, denied.Not())
}

// most is the most that one of the readings lets in of a subject, and the first reading that does. There is at least one reading.
func most(readings []reading, met []uint64) (trust.Truth, reading) {
	best, by := readings[0].admits(met), readings[0]
	for _, r := range readings[1:] {
		if got := r.admits(met); got > best {
			best, by = got, r
		}
	}
	return best, by
}
