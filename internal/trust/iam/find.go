package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
)

// find looks for a subject of the cell with a harvest that is wanted. It has made-up digits where any digit will do.
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
		slices.SortStableFunc(all, func(a, b alternative) int { // the preferred digit first, then the one that stands for most digits
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

// free reports whether no made-up UUID is excluded after a place.
func (w *walker) free(at int) bool {
	for i, s := range w.form.segments {
		if _, excluded := slices.BinarySearch(s.except, bitbucket.MadeUpUUIDs()[i]); s.start >= at && excluded {
			return false
		}
	}
	return true
}

// madeUp is the rest of a subject from a place on, with made-up digits.
func (w *walker) madeUp(at int) string {
	rest := slices.Clone(w.form.runes[at:])
	for i, r := range rest {
		if r == anyDigit {
			rest[i] = w.preferred(at + i)
		}
	}
	return string(rest)
}

// preferred is the digit of a made-up UUID at a place. Each part of a subject has another made-up UUID.
func (w *walker) preferred(at int) rune {
	for i, s := range w.form.segments {
		if at >= s.start && at < s.start+len(bitbucket.UUIDForm) {
			return rune(bitbucket.MadeUpUUIDs()[i][at-s.start])
		}
	}
	return 0
}
