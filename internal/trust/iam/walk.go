package iam

import (
	"context"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// The subjects of a cell have one form: fixed characters, and hexadecimal digits that can be any. What a policy makes of all of them
// is decided by walking along the form with every pattern at once. Two prefixes after which every pattern is at the same places have
// the same future, so that each such state is walked once.

// anyDigit stands in a form for one of the sixteen digits.
const anyDigit rune = -1

// digits are those that Bitbucket writes.
const digits = "0123456789abcdef"

// longestSubject is {repository}:{environment}:{step} in characters. A pattern that wants more of them matches none.
const longestSubject = 3*len(bitbucket.UUIDForm) + 2

// places are positions in a pattern, as bits. A pattern that can match a subject has at most longestSubject characters and a
// star between any two of them, and one position behind its end.
type places [4]uint64

func (s *places) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s *places) set(i int)      { s[i/64] |= 1 << (i % 64) }

// add adds a position, and those that a star at it lets skip to.
func (s *places) add(p pattern, i int) {
	for s.set(i); i < len(p) && p[i] == many; s.set(i) {
		i++
	}
}

// each calls f for every position, in order.
func (s *places) each(f func(i int)) {
	for word, b := range s {
		for ; b != 0; b &= b - 1 {
			f(word*64 + bits.TrailingZeros64(b))
		}
	}
}

// settle drops what stands before the last star that was passed: whatever can follow there can follow that star too, which takes
// any characters first.
func (s *places) settle(p pattern) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != many || !s.has(i) {
			continue
		}
		for word := range i / 64 {
			s[word] = 0
		}
		s[i/64] &^= 1<<(i%64) - 1
		return
	}
}

// An atom is a pattern that subjects are compared with.
type atom struct {
	pattern pattern
	never   bool // no subject is as long as the pattern wants
}

// newAtom reads a pattern; with anyCase, small letters match as well as capital ones. Subjects have small ones.
func newAtom(p pattern, anyCase bool) atom {
	var a atom
	characters, star := 0, false
	for _, r := range p {
		if r == many {
			star = true
			continue
		}
		if r == one && star { // *? is ?*, of which only one form is kept
			a.pattern = append(a.pattern, one)
			characters++
			continue
		}
		if star {
			a.pattern, star = append(a.pattern, many), false
		}
		if anyCase && r >= 0 {
			r = small(r)
		}
		a.pattern = append(a.pattern, r)
		characters++
	}
	if star {
		a.pattern = append(a.pattern, many)
	}
	a.never = characters > longestSubject
	return a
}

// step is where the pattern is after one more character.
func (a atom) step(s *places, r rune) (next places) {
	s.each(func(i int) {
		switch {
		case i == len(a.pattern):
		case a.pattern[i] == many:
			next.add(a.pattern, i)
		case a.pattern[i] == one || a.pattern[i] == r:
			next.add(a.pattern, i+1)
		}
	})
	next.settle(a.pattern)
	return next
}

// swallows reports whether the pattern matches whatever comes.
func (a atom) swallows(s *places) bool {
	last := len(a.pattern) - 1
	return last >= 0 && a.pattern[last] == many && s.has(last)
}

// A segment is a UUID of a form that can be any but some.
type segment struct {
	start  int
	except []string // in order, in braces
}

// A form is what the subjects of a cell look like.
type form struct {
	runes    []rune
	segments []segment
}

// append adds a UUID in braces: that one or, where it is empty, any but those excluded, which are in order.
func (f *form) append(uuid string, except []string) {
	if len(f.runes) > 0 {
		f.runes = append(f.runes, ':')
	}
	if uuid != "" {
		f.runes = append(f.runes, []rune(uuid)...)
		return
	}
	f.segments = append(f.segments, segment{len(f.runes), except})
	for _, r := range bitbucket.UUIDForm {
		if r == 'x' {
			r = anyDigit
		}
		f.runes = append(f.runes, r)
	}
}

// A front is where the walk is: the places in every pattern that can still match or fail, the patterns that match whatever comes,
// and the excluded UUIDs that the present segment can still become, as a range of its list.
type front struct {
	live     []placed
	met      []uint64 // by atom, as bits
	from, to int
}

type placed struct {
	atom int
	at   places
}

// A harvest is what comes of all subjects of the cell that begin alike.
type harvest struct {
	inside                     bool // whether there are any in the cell
	some, all, maybe, maybeAll bool
	share, maybeShare          float64
}

// A walker walks along one form.
type walker struct {
	ctx   context.Context
	form  form
	atoms []atom
	admit func(met []uint64) trust.Truth // decides by the patterns that match
	memo  map[string]harvest
	left  *int // how many steps of patterns may still be made
	spent bool // whether there were more
	key   []byte
}

// start is the front before the first character.
func (w *walker) start() front {
	f := front{met: make([]uint64, (len(w.atoms)+63)/64)}
	for i, a := range w.atoms {
		if a.never {
			continue
		}
		var at places
		at.add(a.pattern, 0)
		at.settle(a.pattern)
		f.place(w, i, at)
	}
	w.enter(&f, 0)
	return f
}

func (f *front) place(w *walker, atom int, at places) {
	switch {
	case at == places{}:
	case w.atoms[atom].swallows(&at):
		f.met = slices.Clone(f.met) // which the front before may share
		f.met[atom/64] |= 1 << (atom % 64)
	default:
		f.live = append(f.live, placed{atom, at})
	}
}

// enter opens the exclusions of the segment that begins at a place, if one does.
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

// next is the front behind the character r at a place, and whether it is still in the cell.
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
			return g, false // it became an excluded one
		}
	}
	w.enter(&g, at+1)
	return g, true
}

// narrowed is the part of a range of words in order that has a character at a place, where all of the range begin alike up to it.
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

// alternatives are the characters that the form has at a place, each with how many digits it stands for. Digits that neither a pattern
// nor an exclusion tells apart have one representative, which is the preferred digit where it is among them.
func (w *walker) alternatives(f front, at int, preferred rune) []alternative {
	if r := w.form.runes[at]; r != anyDigit {
		return []alternative{{r, 1}}
	}
	var told [len(digits)]bool
	tell := func(r rune) {
		switch {
		case r >= '0' && r <= '9':
			told[r-'0'] = true
		case r >= 'a' && r <= 'f':
			told[r-'a'+10] = true
		}
	}
	for _, p := range f.live {
		text := w.atoms[p.atom].pattern
		p.at.each(func(i int) {
			if i < len(text) {
				tell(text[i])
			}
		})
	}
	if s := w.segmentAt(at); s != nil {
		for _, word := range s.except[f.from:f.to] {
			tell(rune(word[at-s.start]))
		}
	}
	all := make([]alternative, 0, 4)
	rest := alternative{}
	for i, r := range digits {
		switch {
		case told[i]:
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

// walk is what comes of the subjects behind a front.
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

// open reports whether the present segment can still become a UUID that is not excluded, whatever came before: fewer are excluded than
// there are.
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

// matched are the patterns that match where nothing more is told apart.
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

// appendKey appends what tells fronts apart.
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

// find is a subject of the cell that has what is wanted of a harvest, with made-up digits where any will do.
func (w *walker) find(f front, wanted func(harvest) bool) (subject string, found bool) {
	if got := w.walk(f, 0); !got.inside || !wanted(got) {
		return "", false
	}
	var text strings.Builder
	for at, r := range w.form.runes {
		if len(f.live) == 0 && f.from == f.to && w.free(at) {
			text.WriteString(w.madeUp(at))
			break
		}
		if r != anyDigit {
			f, _ = w.next(f, at, r)
			text.WriteRune(r)
			continue
		}
		preferred := w.preferred(at)
		all := w.alternatives(f, at, preferred)
		slices.SortStableFunc(all, func(a, b alternative) int { // the preferred digit first, then what stands for most
			if (a.digit == preferred) != (b.digit == preferred) {
				return map[bool]int{true: -1, false: 1}[a.digit == preferred]
			}
			return b.weight - a.weight
		})
		i := slices.IndexFunc(all, func(alt alternative) bool {
			g, _ := w.next(f, at, alt.digit)
			got := w.walk(g, at+1)
			return got.inside && wanted(got)
		})
		if i < 0 {
			return "", false // the walk was given up
		}
		f, _ = w.next(f, at, all[i].digit)
		text.WriteRune(all[i].digit)
	}
	return text.String(), true
}

// free reports whether made-up UUIDs are in no exclusion behind a place.
func (w *walker) free(at int) bool {
	for i, s := range w.form.segments {
		if _, excluded := slices.BinarySearch(s.except, bitbucket.MadeUpUUIDs()[i]); s.start >= at && excluded {
			return false
		}
	}
	return true
}

// madeUp is the rest of a subject, with made-up digits.
func (w *walker) madeUp(at int) string {
	rest := slices.Clone(w.form.runes[at:])
	for i, r := range rest {
		if r == anyDigit {
			rest[i] = w.preferred(at + i)
		}
	}
	return string(rest)
}

// preferred is the digit of a made-up UUID at a place. Parts of a subject have different ones.
func (w *walker) preferred(at int) rune {
	for i, s := range w.form.segments {
		if at >= s.start && at < s.start+len(bitbucket.UUIDForm) {
			return rune(bitbucket.MadeUpUUIDs()[i][at-s.start])
		}
	}
	return 0
}
