package iam

import (
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// A pattern is a text with wildcards, which differ from the characters that look like them.
type pattern []rune

// The wildcards of a pattern. Source: IAM User Guide, "IAM JSON policy elements: Condition operators", StringLike.
const (
	many rune = -1 - iota // *: any number of characters, also none, also ":" and "/"
	one                   // ?: exactly one character
)

// literal is a pattern that matches only the text.
func literal(text string) pattern { return pattern(text) }

// wildcards reads a text in which * and ? are wildcards.
func wildcards(text string) pattern {
	p := literal(text)
	for i, r := range p {
		p[i] = wildcard(r)
	}
	return p
}

// wildcard is the meaning of a character in a text with wildcards.
func wildcard(r rune) rune {
	switch r {
	case '*':
		return many
	case '?':
		return one
	}
	return r
}

// matches reports whether the pattern matches the whole text.
func (p pattern) matches(text string) bool {
	have := []rune(text)
	return p.fits(len(have), func(i int, r rune) bool { return have[i] == r })
}

// matchesAnyCase is matches without regard to upper and lower case, in ASCII only: Unicode folds other characters into letters, AWS does not.
func (p pattern) matchesAnyCase(text string) bool {
	have := []rune(text)
	return p.fits(len(have), func(i int, r rune) bool { return small(have[i]) == small(r) })
}

// matchesForm compares with a text in which [bitbucket.UUIDForm] stands for a UUID that is not known. The pattern matches if wildcards
// take all digits of the UUID, and may match if its own characters could be digits.
func (p pattern) matchesForm(text string, same func(a, b rune) bool) trust.Truth {
	have := []rune(text)
	from := len([]rune(text[:strings.Index(text, bitbucket.UUIDForm)]))
	digit := func(i int) bool { return i >= from && i < from+len(bitbucket.UUIDForm) && have[i] == 'x' }
	if p.fits(len(have), func(i int, r rune) bool { return !digit(i) && same(have[i], r) }) {
		return trust.Yes
	}
	return min(trust.Unknown, trust.TruthOf(p.fits(len(have), func(i int, r rune) bool {
		if digit(i) {
			return strings.ContainsRune("0123456789abcdefABCDEF", r)
		}
		return same(have[i], r)
	})))
}

// fits reports whether the pattern matches a text of length characters, where may reports whether the character at i can be r.
//
// It goes back to the last * only: the part of a pattern between two * is best matched as early as possible, so going back further never
// helps. The work is at most the product of the two lengths, however many * there are.
func (p pattern) fits(length int, may func(i int, r rune) bool) bool {
	i, j := 0, 0
	star, taken := -1, 0 // the last *, and where the characters that it takes end
	for i < length {
		switch {
		case j < len(p) && p[j] == many:
			star, taken = j, i
			j++
		case j < len(p) && (p[j] == one || may(i, p[j])):
			i++
			j++
		case star >= 0:
			taken++
			i, j = taken, star+1
		default:
			return false
		}
	}
	for j < len(p) && p[j] == many {
		j++
	}
	return j == len(p)
}

// wild reports whether the pattern has a wildcard.
func (p pattern) wild() bool {
	for _, r := range p {
		if r < 0 {
			return true
		}
	}
	return false
}

// parts cuts the pattern at its colons, into n parts at most.
func (p pattern) parts(n int) []pattern {
	var parts []pattern
	for len(parts) < n-1 {
		at := 0
		for at < len(p) && p[at] != ':' {
			at++
		}
		if at == len(p) {
			break
		}
		parts = append(parts, p[:at])
		p = p[at+1:]
	}
	return append(parts, p)
}

// text is the text of a pattern that has no wildcards.
func (p pattern) text() string { return string(p) }
