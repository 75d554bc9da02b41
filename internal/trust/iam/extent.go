package iam

import (
	"cmp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// extent decides how much of a cell gets in with any of the readings.
func (a *policyReach) extent(c trust.Cell, readings []reading) trust.Extent {
	if e, ok := a.represented(c, readings); ok {
		return e
	}
	except := slices.Clone(a.named)
	for range searchRounds {
		e, hit, ok := a.search(c, except, readings)
		if !ok {
			break
		}
		if len(hit) == 0 {
			e.Pinned = a.pinned(c, readings)
			return e
		}
		except = append(except, hit...)
		slices.Sort(except)
	}
	return trust.Extent{Maybe: true, MaybeAll: true, Share: 1, Why: "more cases than are tried here"}
}

// search walks along the subjects of a cell, apart from UUIDs in except. hit are the known UUIDs of a witness, which have cells of their
// own, so the search has to leave them out. ok is false if there is more work than is done here.
func (a *policyReach) search(c trust.Cell, except []string, readings []reading) (e trust.Extent, hit []string, ok bool) {
	budget := min(cellSteps, a.left)
	left := budget
	admit := func(met []uint64) trust.Truth {
		best, _ := most(readings, met)
		return best
	}
	w := &walker{ctx: a.ctx, form: a.form(c, except), atoms: a.atoms, admit: admit, memo: map[string]harvest{}, left: &left}
	start := w.start()
	got := w.walk(start, 0)
	a.left -= budget - max(left, 0)
	if w.spent {
		return e, nil, false
	}
	e = trust.Extent{Some: got.some, All: got.all && got.inside, Maybe: got.maybe, MaybeAll: got.maybeAll && got.inside, Share: got.share}
	if !e.Some {
		e.Share = got.maybeShare
	}
	if e.Maybe && !e.Some || !e.All && e.MaybeAll {
		e.Why = a.why
	}
	left = cellSteps // to find witnesses, mostly in what the walk has decided
	e.Witness, hit = a.witness(w, start, c, readings, func(h harvest) bool { return h.some || !got.some && h.maybe })
	if e.Why != "" && e.Witness != nil {
		_, by := most(readings, a.met(e.Witness.Claims.Subject))
		e.Why = cmp.Or(by.why, e.Why)
	}
	if len(hit) == 0 && !a.brief {
		e.Refused, hit = a.witness(w, start, c, readings[:1], func(h harvest) bool { return !h.maybeAll })
	}
	return e, hit, true
}

// represented decides a cell by one of its subjects, where all of them are alike: values of whole UUIDs, colons and stars alone do not
// distinguish between UUIDs that they do not name.
func (a *policyReach) represented(c trust.Cell, readings []reading) (trust.Extent, bool) {
	if !a.simple {
		return trust.Extent{}, false
	}
	made := bitbucket.MadeUpUUIDs()
	m := bitbucket.Member{Repository: cmp.Or(c.Repository, made[0]), Step: made[2], Audience: readings[0].audience}
	subject := m.Repository + ":"
	if c.Deployment {
		m.Environment = cmp.Or(c.Environment, made[1])
		subject += m.Environment + ":"
	}
	met := a.met(subject + m.Step)
	got, by := most(readings, met)
	e := trust.Extent{Some: got == trust.Yes, All: got == trust.Yes, Maybe: got != trust.No, MaybeAll: got != trust.No, Pinned: a.pinned(c, readings)}
	switch {
	case got == trust.No && a.brief:
	case got == trust.No:
		refused := a.u.Member(m)
		e.Refused = &refused
	default:
		m.Audience = by.audience
		witness := a.u.Member(m)
		e.Witness, e.Share = &witness, 1
	}
	if got == trust.Unknown {
		e.Why = cmp.Or(by.why, a.why)
	}
	return e, true
}

// whole reports whether a pattern consists of whole UUIDs in braces, colons and stars.
func whole(p pattern) bool {
	text := make([]rune, len(p))
	for i, r := range p {
		switch r {
		case many:
			r = '*'
		case one, '*':
			return false
		}
		text[i] = r
	}
	rest := string(text)
	for _, span := range slices.Backward(bitbucket.UUIDs(rest)) {
		if !span.Braces {
			return false
		}
		rest = rest[:span.Start-1] + rest[span.End+1:]
	}
	return strings.Trim(rest, ":*") == ""
}

// witness finds somebody of a cell. If the UUIDs of that somebody are known ones, which have other cells, it returns these instead.
func (a *policyReach) witness(
	w *walker, start front, c trust.Cell, readings []reading, wanted func(harvest) bool,
) (witness *bitbucket.Identity, hit []string) {
	subject, found := w.find(start, wanted)
	if !found {
		return nil, nil
	}
	parts := strings.Split(subject, ":")
	step := parts[len(parts)-1]
	for i, part := range parts {
		fixed := i == 0 && c.Repository != "" || i == 1 && c.Deployment && c.Environment != ""
		if _, ok := slices.BinarySearch(a.known, part); ok && !fixed {
			hit = append(hit, part)
		}
	}
	if len(hit) > 0 {
		return nil, hit
	}
	_, by := most(readings, a.met(subject))
	environment := ""
	if c.Deployment {
		environment = parts[1]
	}
	id := a.u.Member(bitbucket.Member{Repository: parts[0], Environment: environment, Step: step, Audience: by.audience})
	return &id, nil
}

// met are the atoms that match a subject, as bits.
func (a *policyReach) met(subject string) []uint64 {
	met := make([]uint64, (len(a.atoms)+63)/64)
	for i, atom := range a.atoms {
		if !atom.never && atom.pattern.matches(subject) {
			met[i/64] |= 1 << (i % 64)
		}
	}
	return met
}

// pinned reports whether a step that the policy names may get in. A UUID that the universe knows is no step's.
func (a *policyReach) pinned(c trust.Cell, readings []reading) bool {
	if c.Repository == "" || c.Deployment && c.Environment == "" {
		return false
	}
	stem := c.Repository + ":"
	if c.Deployment {
		stem += c.Environment + ":"
	}
	return slices.ContainsFunc(a.named, func(step string) bool {
		if _, other := slices.BinarySearch(a.known, step); other {
			return false
		}
		named := slices.ContainsFunc(a.values, func(v string) bool { return strings.HasSuffix(v, step) || strings.HasSuffix(v, step+"*") })
		if !named {
			return false
		}
		admitted, _ := most(readings, a.met(stem+step))
		return admitted != trust.No
	})
}
