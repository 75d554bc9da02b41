package iam

import (
	"math/bits"

	"bitbucket-oidc/internal/bitbucket"
)

// longestSubject is the length of {repository}:{environment}:{step} in characters. A pattern that needs more matches no subject.
const longestSubject = 3*len(bitbucket.UUIDForm) + 2

// positions are places in a pattern, as bits. A pattern that can match a subject has at most longestSubject characters, with a star
// between any two of them, and one position after its end.
type positions [4]uint64

func (s *positions) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s *positions) set(i int)      { s[i/64] |= 1 << (i % 64) }

// add adds a position and, if a star is there, the positions after it, because a star can be empty.
func (s *positions) add(p pattern, i int) {
	for s.set(i); i < len(p) && p[i] == many; s.set(i) {
		i++
	}
}

// each calls f for every position, in order.
func (s *positions) each(f func(i int)) {
	for word, b := range s {
		for ; b != 0; b &= b - 1 {
			f(word*64 + bits.TrailingZeros64(b))
		}
	}
}

// settle drops the positions before the last star that was reached. Whatever matches from an earlier position also matches from that
// star, which takes any characters first.
func (s *positions) settle(p pattern) {
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
	never   bool // the pattern is longer than every subject
}

// newAtom reads a pattern in its only form. With anyCase its letters become lower case, as the letters of subjects are.
func newAtom(p pattern, anyCase bool) atom {
	var a atom
	characters, star := 0, false
	for _, r := range p {
		if r == many {
			star = true
			continue
		}
		if r == one && star { // *? is the same as ?*, so only one form is kept
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

// step is the positions after one more character.
func (a atom) step(s *positions, r rune) (next positions) {
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

// swallows reports whether the pattern matches whatever characters follow.
func (a atom) swallows(s *positions) bool {
	last := len(a.pattern) - 1
	return last >= 0 && a.pattern[last] == many && s.has(last)
}
