package iam

import (
	"bitbucket-oidc/internal/bitbucket"
)

// anyDigit stands in a form for any of the sixteen digits.
const anyDigit rune = -1

// digits are the hexadecimal digits, as Bitbucket writes them.
const digits = "0123456789abcdef"

// A segment is a UUID in a form that can be any UUID but some.
type segment struct {
	start  int
	except []string // in order, in braces
}

// A form is what the subjects of a cell look like.
type form struct {
	runes    []rune
	segments []segment
}

// append adds a UUID in braces or, if it is empty, a segment of any UUID but those in except, which are in order.
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
