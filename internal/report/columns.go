package report

import (
	"unicode"

	"golang.org/x/text/width"
)

// columns is how much room a text takes on a terminal: characters of East Asia take two columns, and marks that combine with the
// character before them take none.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// firstColumns is the beginning of a text, in at most so many columns; a mark says that something is cut off.
func firstColumns(text string, most int) string {
	if columns(text) <= most {
		return text
	}
	n := 0
	for i, r := range text {
		if n += columnsOf(r); n > most-1 {
			if most < 1 {
				return ""
			}
			return text[:i] + "…"
		}
	}
	return text
}

// lastColumns is the end of a text, in at most so many columns.
func lastColumns(text string, most int) string {
	n := columns(text)
	for i, r := range text {
		if n <= most {
			return text[i:]
		}
		n -= columnsOf(r)
	}
	return ""
}
