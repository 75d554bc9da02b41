package iam

import (
	"cmp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// extent decides how much of a cell gets in with any of the lists of audiences.
func (a *policyReach) extent(c trust.Cell, sieves [][]sieve, audiences [][]string) trust.Extent {
	admit := func(met []uint64) trust.Truth {
		best := trust.No
		for _, s := range sieves {
			best = max(best, admits(s, met))
		}
		return best
	}
	known := a.u.Known()
	if e, ok := a.represented(c, admit, known, audiences, sieves); ok {
		return e
	}
	except := slices.Clone(a.named)
	for range searchRounds {
		left := min(cellSteps, a.left)
		before := left
		w := &walker{ctx: a.ctx, form: a.form(c, except), atoms: a.atoms, admit: admit, memo: map[string]harvest{}, left: &left}
		start := w.start()
		got := w.walk(start, 0)
		a.left -= before - max(left, 0)
		if w.spent {
			break
		}
		e := trust.Extent{Some: got.some, All: got.all && got.inside, Maybe: got.maybe, MaybeAll: got.maybeAll && got.inside, Share: got.share}
		if !e.Some {
			e.Share = got.maybeShare
		}
		if e.Maybe && !e.Some || !e.All && e.MaybeAll {
			e.Why = a.why
		}
		w.left = new(int)
		*w.left = cellSteps
		var hit []string
		e.Witness, hit = a.witness(w, start, c, known, sieves, audiences, func(h harvest) bool { return h.some || !got.some && h.maybe })
		if len(hit) == 0 && !a.brief {
			e.Refused, hit = a.witness(w, start, c, known, sieves[:1], audiences, func(h harvest) bool { return !h.maybeAll })
		}
		if len(hit) == 0 {
			e.Pinned = a.pinned(c, admit)
			return e
		}
		except = append(except, hit...)
		slices.Sort(except)
	}
	return trust.Extent{Maybe: true, MaybeAll: true, Share: 1, Why: "more cases than are tried here"}
}

// represented decides a cell by one of its subjects, where all of them are alike: values of whole UUIDs, colons and stars alone do not
// distinguish between UUIDs that they do not name.
func (a *policyReach) represented(c trust.Cell, admit func([]uint64) trust.Truth, known []string, audiences [][]string, sieves [][]sieve) (trust.Extent, bool) {
	made := bitbucket.MadeUpUUIDs()
	if !a.simple || slices.ContainsFunc(made[:], func(uuid string) bool { return slices.Contains(a.named, uuid) || slices.Contains(known, uuid) }) {
		return trust.Extent{}, false
	}
	m := bitbucket.Member{Repository: cmp.Or(c.Repository, made[0]), Step: made[2], Audience: audiences[0]}
	subject := m.Repository + ":"
	if c.Deployment {
		m.Environment = cmp.Or(c.Environment, made[1])
		subject += m.Environment + ":"
	}
	met := a.met(subject + m.Step)
	got := admit(met)
	e := trust.Extent{Some: got == trust.Yes, All: got == trust.Yes, Maybe: got != trust.No, MaybeAll: got != trust.No, Pinned: a.pinned(c, admit)}
	switch {
	case got == trust.No && a.brief:
	case got == trust.No:
		refused := a.u.Member(m)
		e.Refused = &refused
	default:
		m.Audience = audiences[slices.IndexFunc(sieves, func(s []sieve) bool { return admits(s, met) == got })]
		witness := a.u.Member(m)
		e.Witness, e.Share = &witness, 1
	}
	if got == trust.Unknown {
		e.Why = a.why
	}
	return e, true
}

// whole reports whether a pattern holds nothing but whole UUIDs in braces, colons and stars.
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
func (a *policyReach) witness(w *walker, start front, c trust.Cell, known []string, sieves [][]sieve, audiences [][]string, wanted func(harvest) bool) (*bitbucket.Identity, []string) {
	subject, found := w.find(start, wanted)
	if !found {
		return nil, nil
	}
	parts := strings.Split(subject, ":")
	step := parts[len(parts)-1]
	var hit []string
	for i, part := range parts {
		fixed := i == 0 && c.Repository != "" || i == 1 && c.Deployment && c.Environment != ""
		if _, ok := slices.BinarySearch(known, part); ok && !fixed {
			hit = append(hit, part)
		}
	}
	if len(hit) > 0 {
		return nil, hit
	}
	met := a.met(subject)
	best, list := trust.No, audiences[0]
	for i, s := range sieves {
		if got := admits(s, met); got > best {
			best, list = got, audiences[i]
		}
	}
	environment := ""
	if c.Deployment {
		environment = parts[1]
	}
	id := a.u.Member(bitbucket.Member{Repository: parts[0], Environment: environment, Step: step, Audience: list})
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

// pinned reports whether a step that the policy names may get in.
func (a *policyReach) pinned(c trust.Cell, admit func([]uint64) trust.Truth) bool {
	if c.Repository == "" || c.Deployment && c.Environment == "" {
		return false
	}
	stem := c.Repository + ":"
	if c.Deployment {
		stem += c.Environment + ":"
	}
	return slices.ContainsFunc(a.named, func(step string) bool {
		named := slices.ContainsFunc(a.values, func(v string) bool { return strings.HasSuffix(v, step) || strings.HasSuffix(v, step+"*") })
		return named && admit(a.met(stem+step)) != trust.No
	})
}
