package report

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/visible"
)

// BesideWidth is the room for a value of [Beside], in characters: a line without the indentation and the word before the value.
const BesideWidth = Width - 11

// Beside lays out a wanted value and a present value, to be printed one above the other. Of several values it takes the two with the
// longest common beginning. mark is a line below them with carets where the present value departs from the wanted one, or empty.
// wild says that * and ? in a wanted value are wildcards.
func Beside(wanted, there []string, wild bool) (want, has, mark string) {
	b := align(visibleTexts(wanted), visibleTexts(there), wild)
	b.shorten(BesideWidth)
	return string(b.want), string(b.has), b.mark()
}

func visibleTexts(all []string) []string {
	shown := make([]string, len(all))
	for i, text := range all {
		shown[i] = visible.Text(text)
	}
	return shown
}

// A pair is a wanted value and a present value, which departs from it in the characters from from to before to.
type pair struct {
	want, has []rune
	from, to  int
}

// align finds the pair of values with the longest common beginning.
func align(wanted, there []string, wild bool) pair {
	best := pair{from: -1}
	for _, want := range wanted {
		for _, has := range there {
			if p := difference([]rune(want), []rune(has), wild); p.from > best.from {
				best = p
			}
		}
	}
	best.from = max(best.from, 0)
	return best
}

// difference finds where has departs from want. If want can have wildcards, the part ends at the first of them: what a wildcard takes
// is not wrong, and behind it anything may be right.
func difference(want, has []rune, wild bool) pair {
	w, h := want, has
	if at := slices.IndexFunc(w, func(r rune) bool { return r == '*' || r == '?' }); wild && at >= 0 {
		w, h = w[:at], h[:min(at, len(h))]
	}
	from := 0
	for from < len(w) && from < len(h) && w[from] == h[from] {
		from++
	}
	to := len(h)
	for end := len(w); to > from && end > from && w[end-1] == h[to-1]; end-- {
		to--
	}
	return pair{want, has, from, max(to, min(from+1, len(h)))}
}

// shorten makes both values fit into room: first it leaves out what they have in common at the beginning, up to the last colon, and then
// what is behind.
func (p *pair) shorten(room int) {
	if len(p.want) <= room && len(p.has) <= room {
		return
	}
	if same := lastIndex(p.has[:p.from], ':'); same > 0 {
		p.want, p.has = append([]rune("…"), p.want[same:]...), append([]rune("…"), p.has[same:]...)
		p.from, p.to = p.from-same+1, p.to-same+1
	}
	p.want, p.has = cut(p.want, room), cut(p.has, room)
	p.from, p.to = min(p.from, room-1), min(p.to, room)
}

func lastIndex(text []rune, r rune) int {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == r {
			return i
		}
	}
	return -1
}

func cut(text []rune, room int) []rune {
	if len(text) <= room {
		return text
	}
	return append(slices.Clone(text[:room-1]), '…')
}

// mark is the line with the carets.
func (p *pair) mark() string {
	if p.to <= p.from {
		return ""
	}
	return strings.Repeat(" ", p.from) + strings.Repeat("^", p.to-p.from)
}
