package trust

import (
	"fmt"
	"strings"
)

// Admits says in a sentence who gets in who should not. The first of the cells has the witness that it shows.
func Admits(cells []Cell) string {
	return fmt.Sprintf("%s%s%s.", capital(listed(cells)), verb(cells[0]), SuchAs(cells[0]))
}

// Names says in a sentence who gets in beside the identity because the document names them.
func Names(cells []Cell) string {
	in := "get in"
	if !cells[0].Reach.Some {
		in = "may get in"
	}
	return fmt.Sprintf("The document names the repository %s, and steps of it %s too%s.", cells[0].Repository, in, SuchAs(cells[0]))
}

// listed names cells.
func listed(cells []Cell) string {
	words := make([]string, len(cells))
	for i, c := range cells {
		words[i] = c.Who
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " and " + words[last]
	}
	return words[0]
}

// verb says how sure it is that a cell gets in, and how much of it.
func verb(c Cell) string {
	if c.Reach.Some {
		return " gets in" + c.Reach.Portion()
	}
	return " may get in, which depends on " + c.Reach.Why
}

// Portion says how much of a cell gets in, where it is not nearly all: 1 in so many of the possible UUIDs.
func (e Extent) Portion() string {
	if e.Share <= 0 || e.Share > 0.75 {
		return ""
	}
	return fmt.Sprintf(" (1 in %.4g of the possible UUIDs)", 1/e.Share)
}

// SuchAs goes on a sentence with a cell's witness.
func SuchAs(c Cell) string {
	w := c.Reach.Witness
	if w == nil {
		return ""
	}
	text := ", such as " + w.Claims.Subject
	if w.Claims.BranchName != "" {
		text += fmt.Sprintf(" of the branch %q", w.Claims.BranchName)
	}
	if len(w.Claims.Audience) > 1 {
		text += fmt.Sprintf(" with the audience %q", w.Claims.Audience[1:])
	}
	return text
}

// capital begins a sentence.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
