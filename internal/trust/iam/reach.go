package iam

import (
	"context"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// These bound the work on one policy. A cell that would need more is undecided.
const (
	cellSteps    = 2_000_000 // of one pattern over one character, for one cell
	policySteps  = 5_000_000 // the same, for all cells of a policy
	searchRounds = 64        // attempts to find a witness that is nobody of the universe
)

// Reach finds who gets in through the role.
func (r *Role) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	return r.role.reach(ctx, u)
}

// Trusts reports whether the role is worth a result. A role of a list is worth one only if it trusts the universe's workspace.
func (r *Role) Trusts(u bitbucket.Universe) bool { return !r.listed || r.role.trusts(u) }

// Federates reports whether the role's policy names a provider of the universe's workspace.
func (r *Role) Federates(u bitbucket.Universe) bool { return r.role.trusts(u) }

// Target is the role's ARN, or empty.
func (r *Role) Target() string { return r.role.arn }

// trusts reports whether a role's policy names a provider of the universe's workspace or, if the universe has none, of any workspace.
func (r role) trusts(u bitbucket.Universe) bool {
	want := strings.TrimPrefix(u.Issuer, "https://")
	return slices.ContainsFunc(r.policy.statements, func(s statement) bool {
		return slices.ContainsFunc(s.principals.federated, func(name string) bool {
			return strings.Contains(name, want) && (want != "" || strings.Contains(name, "api.bitbucket.org/"))
		})
	})
}

// reach finds who gets in through a role's trust policy, for each workspace of Bitbucket that the policy trusts. Each repository and each
// environment that the policy or the universe names has a cell, and so has the rest of the workspace.
func (r role) reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	u = u.Normal()
	var all []trust.Cell
	for _, issuer := range r.issuers(u) {
		v := u
		v.Issuer = issuer
		all = append(all, newPolicyReach(ctx, r, v).cells()...)
	}
	return all
}

// issuers are the issuer of the universe or, if it has none, the issuers of Bitbucket that Allow statements name, in their order.
func (r role) issuers(u bitbucket.Universe) []string {
	if u.Issuer != "" {
		return []string{u.Issuer}
	}
	var all []string
	for _, s := range r.policy.statements {
		for _, name := range s.principals.federated {
			p, ok := parseProviderARN(name)
			if ok && s.effect == "Allow" && strings.HasPrefix(p.path, "api.bitbucket.org/") && !slices.Contains(all, "https://"+p.path) {
				all = append(all, "https://"+p.path)
			}
		}
	}
	return all
}

// A policyReach decides the cells of one policy and one workspace.
type policyReach struct {
	ctx      context.Context
	u        bitbucket.Universe
	known    []string // UUIDs of the universe, in order
	atoms    []atom
	index    map[string]int // of atoms
	readings []reading      // the policy for each list of audiences that steps can have
	usual    int            // so many of the readings, the first ones, are for steps that ask for nothing more
	why      string         // the first reason for which something is unknown
	named    []string       // UUIDs in the policy and in the resource control policies, in order
	own      []string       // UUIDs in the policy
	values   []string       // of conditions on the subject, in lower case
	left     int            // steps of patterns that may still be made
	simple   bool           // no value looks at parts of UUIDs, so one subject of a cell decides for all, with made-up UUIDs
	brief    bool           // decide finds Reach only, and nobody who is refused
}

// newPolicyReach reads a policy for a workspace.
func newPolicyReach(ctx context.Context, role role, u bitbucket.Universe) *policyReach {
	a := &policyReach{ctx: ctx, u: u, known: u.Known(), index: map[string]int{}, left: policySteps}
	a.read(role)
	lists, usual, exact := a.lists(role)
	for i, list := range lists {
		a.add(reading{audience: list, sieves: a.compile(role, list, false)}, i < usual)
	}
	for _, list := range lists[:usual] {
		if !exact && len(list) == 1 {
			a.add(reading{append(slices.Clone(list), bitbucket.MadeUpAudience), a.compile(role, list, true), anyAudience}, false)
		}
	}
	made := bitbucket.MadeUpUUIDs()
	a.simple = !slices.ContainsFunc(a.atoms, func(atom atom) bool { return !atom.never && !whole(atom.pattern) }) &&
		!slices.ContainsFunc(made[:], func(uuid string) bool { return slices.Contains(a.named, uuid) || slices.Contains(a.known, uuid) })
	return a
}

// subjectKey is the condition key of the subject, in lower case.
func (a *policyReach) subjectKey() string { return a.key("sub") }

func (a *policyReach) key(claim string) string {
	return fold(strings.TrimPrefix(a.u.Issuer, "https://")) + ":" + claim
}

// read finds what the policy names.
func (a *policyReach) read(role role) {
	for i, s := range role.statements() {
		for _, c := range s.conditions {
			if c.lower != a.subjectKey() {
				continue
			}
			for _, value := range c.values {
				value = strings.ToLower(value)
				a.values = append(a.values, value)
				for _, span := range bitbucket.UUIDs(value) {
					uuid := "{" + value[span.Start:span.End] + "}"
					a.named = append(a.named, uuid)
					if i < len(role.policy.statements) {
						a.own = append(a.own, uuid)
					}
				}
			}
		}
	}
	slices.Sort(a.named)
	a.named = slices.Compact(a.named)
}

// add adds a reading, unless the policy is the same for an earlier list of audiences. The usual readings come first.
func (a *policyReach) add(r reading, usual bool) {
	if slices.ContainsFunc(a.readings, func(o reading) bool { return slices.EqualFunc(o.sieves, r.sieves, sieve.equal) }) {
		return
	}
	a.readings = append(a.readings, r)
	if usual {
		a.usual++
	}
}

// distinct keeps the first of equal values.
func distinct[T comparable](values []T) []T {
	seen := map[T]bool{}
	return slices.DeleteFunc(slices.Clone(values), func(v T) bool {
		twice := seen[v]
		seen[v] = true
		return twice
	})
}
