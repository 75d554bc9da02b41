package iam

import (
	"context"
	"encoding/binary"
	"slices"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// The subjects of a cell have one form: fixed characters, and places for any hexadecimal digit. A walk along the form with every pattern
// at once decides for all of them who gets in. After two beginnings that leave every pattern at the same positions, the rest of the walk
// is the same, so each such state is walked once.

// A front is the state of the walk: the positions in every pattern that can still match or fail, the patterns that match in any case,
// and the excluded UUIDs that the present segment can still become, as a range of its list.
type front struct {
	live     []placed
	met      []uint64 // by atom, as bits
	from, to int
}

type placed struct {
	atom int
	at   positions
}

// A harvest says how many of the subjects that begin alike get in: certainly, and at most.
type harvest struct {
	inside                     bool // whether any subject of the cell begins so
	some, all, maybe, maybeAll bool
	share, maybeShare          float64
}

// A walker walks along one form.
type walker struct {
	ctx   context.Context
	form  form
	atoms []atom
	admit func(met []uint64) trust.Truth // decides for a subject that matches these atoms
	memo  map[string]harvest
	left  *int // steps of patterns that may still be made
	spent bool // whether the walk would have needed more steps
	key   []byte
}

// start is the front before the first character.
func (w *walker) start() front {
	f := front{met: make([]uint64, (len(w.atoms)+63)/64)}
	for i, a := range w.atoms {
		if a.never {
			continue
		}
		var at positions
		at.add(a.pattern, 0)
		at.settle(a.pattern)
		f.place(w, i, at)
	}
	w.enter(&f, 0)
	return f
}

// place adds an atom at its positions, unless the atom can no longer match, or matches whatever characters follow.
func (f *front) place(w *walker, atom int, at positions) {
	switch {
	case at == positions{}:
	case w.atoms[atom].swallows(&at):
		f.met = slices.Clone(f.met) // an earlier front may share it
		f.met[atom/64] |= 1 << (atom % 64)
	default:
		f.live = append(f.live, placed{atom, at})
	}
}

// enter begins a segment, if one begins at this place of the form: it can still become every UUID that is excluded.
func (w *walker) enter(f *front, at int) {
	for _, s := range w.form.segments {
		if s.start == at {
			f.from, f.to = 0, len(s.except)
		}
	}
}

// segmentAt is the segment around a place, or nil.
func (w *walker) segmentAt(at int) *segment {
	for i := range w.form.segments {
		if s := &w.form.segments[i]; at >= s.start && at < s.start+len(bitbucket.UUIDForm) {
			return s
		}
	}
	return nil
}

// next is the front after the character r at a place of the form, and reports whether it is still in the cell.
func (w *walker) next(f front, at int, r rune) (front, bool) {
	g := front{met: f.met}
	if len(f.live) > 0 {
		g.live = make([]placed, 0, len(f.live))
	}
	for i := range f.live {
		p := &f.live[i]
		g.place(w, p.atom, w.atoms[p.atom].step(&p.at, r))
	}
	if s := w.segmentAt(at); s != nil && f.from < f.to {
		g.from, g.to = narrowed(s.except, f.from, f.to, at-s.start, r)
		if at == s.start+len(bitbucket.UUIDForm)-1 && g.from < g.to {
			return g, false // it became an excluded UUID
		}
	}
	w.enter(&g, at+1)
	return g, true
}

// narrowed is the part of a range of ordered texts that has the character r at a place. All texts of the range begin alike up to it.
func narrowed(words []string, from, to, at int, r rune) (int, int) {
	for from < to && rune(words[from][at]) != r {
		from++
	}
	end := from
	for end < to && rune(words[end][at]) == r {
		end++
	}
	return from, end
}

// alternatives are the characters that the form can have at a place, each with the number of digits that it stands for. One digit stands
// for all digits that no pattern and no exclusion mentions there; it is the preferred one if that is among them.
func (w *walker) alternatives(f front, at int, preferred rune) []alternative {
	if r := w.form.runes[at]; r != anyDigit {
		return []alternative{{r, 1}}
	}
	var mentioned [len(digits)]bool
	mention := func(r rune) {
		switch {
		case r >= '0' && r <= '9':
			mentioned[r-'0'] = true
		case r >= 'a' && r <= 'f':
			mentioned[r-'a'+10] = true
		}
	}
	for _, p := range f.live {
		text := w.atoms[p.atom].pattern
		p.at.each(func(i int) {
			if i < len(text) {
				mention(text[i])
			}
		})
	}
	if s := w.segmentAt(at); s != nil {
		for _, word := range s.except[f.from:f.to] {
			mention(rune(word[at-s.start]))
		}
	}
	all := make([]alternative, 0, 4)
	rest := alternative{}
	for i, r := range digits {
		switch {
		case mentioned[i]:
			all = append(all, alternative{r, 1})
		case rest.weight == 0 || r == preferred:
			rest = alternative{r, rest.weight + 1}
		default:
			rest.weight++
		}
	}
	if rest.weight > 0 {
		all = append(all, rest)
	}
	return all
}

type alternative struct {
	digit  rune
	weight int
}

// walk is the harvest of the subjects that begin with what led to a front.
func (w *walker) walk(f front, at int) harvest {
	for ; at < len(w.form.runes) && w.form.runes[at] != anyDigit; at++ {
		inside := true
		if f, inside = w.next(f, at, w.form.runes[at]); !inside {
			return harvest{}
		}
	}
	if at == len(w.form.runes) || len(f.live) == 0 && w.open(f, at) {
		return leaf(w.admit(w.matched(f, at)))
	}
	w.key = f.appendKey(w.key[:0], at)
	if got, ok := w.memo[string(w.key)]; ok {
		return got
	}
	key := string(w.key)
	all := w.alternatives(f, at, 0)
	if *w.left -= len(all) * (1 + len(f.live)); *w.left < 0 || len(w.memo)%1024 == 0 && w.ctx.Err() != nil {
		w.spent = true
	}
	got := harvest{all: true, maybeAll: true}
	total := 0
	for _, alt := range all {
		if w.spent {
			break
		}
		g, inside := w.next(f, at, alt.digit)
		if !inside {
			continue
		}
		child := w.walk(g, at+1)
		if !child.inside {
			continue
		}
		total += alt.weight
		got.inside = true
		got.some, got.maybe = got.some || child.some, got.maybe || child.maybe
		got.all, got.maybeAll = got.all && child.all, got.maybeAll && child.maybeAll
		got.share += child.share * float64(alt.weight)
		got.maybeShare += child.maybeShare * float64(alt.weight)
	}
	if total > 0 {
		got.share, got.maybeShare = got.share/float64(total), got.maybeShare/float64(total)
	}
	w.memo[key] = got
	return got
}

// open reports whether the present segment can still become a UUID that is not excluded: there are more UUIDs than exclusions.
func (w *walker) open(f front, at int) bool {
	s := w.segmentAt(at)
	if s == nil || f.from == f.to {
		return true
	}
	free := 1
	for _, r := range w.form.runes[at : s.start+len(bitbucket.UUIDForm)] {
		if r == anyDigit && free <= f.to-f.from {
			free *= len(digits)
		}
	}
	return free > f.to-f.from
}

// leaf is the harvest of subjects with one and the same answer.
func leaf(t trust.Truth) harvest {
	h := harvest{inside: true, some: t == trust.Yes, all: t == trust.Yes, maybe: t != trust.No, maybeAll: t != trust.No}
	if h.some {
		h.share = 1
	}
	if h.maybe {
		h.maybeShare = 1
	}
	return h
}

// matched are the atoms that match at the end of the form, or where no atom depends on what follows.
func (w *walker) matched(f front, at int) []uint64 {
	if at < len(w.form.runes) || len(f.live) == 0 {
		return f.met
	}
	met := slices.Clone(f.met)
	for _, p := range f.live {
		if p.at.has(len(w.atoms[p.atom].pattern)) {
			met[p.atom/64] |= 1 << (p.atom % 64)
		}
	}
	return met
}

// appendKey appends a key that is different for different fronts.
func (f front) appendKey(key []byte, at int) []byte {
	key = append(key, byte(at))
	key = binary.AppendUvarint(key, uint64(f.from))
	key = binary.AppendUvarint(key, uint64(f.to))
	for _, word := range f.met {
		key = binary.AppendUvarint(key, word)
	}
	for _, p := range f.live {
		key = binary.AppendUvarint(key, uint64(p.atom))
		for _, word := range p.at {
			key = binary.AppendUvarint(key, word)
		}
	}
	return key
}
