package trust

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

// FindOthers finds who else gets in through a document that lets an identity in: anybody who is not of the identity's repository is an
// error, but repositories that the document names are notes.
func (f *Findings) FindOthers(admits, names string, cells []Cell, id bitbucket.Identity, path string, fix finding.Fix) {
	var foreign []Cell
	named := map[string][]Cell{}
	var order []string
	for _, c := range cells {
		switch {
		case !c.Reach.Maybe || c.Repository == id.Claims.Repository():
		case c.Repository == "":
			foreign = append(foreign, c)
		default:
			if named[c.Repository] == nil {
				order = append(order, c.Repository)
			}
			named[c.Repository] = append(named[c.Repository], c)
		}
	}
	if len(foreign) > 0 {
		Surest(foreign)
		f.FindWith(foreign[0].Reach.Witness, finding.Error, admits, path, Admits(foreign), fix)
	}
	for _, repository := range order {
		in := named[repository]
		Surest(in)
		f.FindWith(in[0].Reach.Witness, finding.Note, names, path, Names(in), fix)
	}
}

// Surest puts cells of which somebody certainly gets in before those of which somebody may.
func Surest(cells []Cell) {
	rank := map[bool]int{true: 0, false: 1}
	slices.SortStableFunc(cells, func(a, b Cell) int { return rank[a.Reach.Some] - rank[b.Reach.Some] })
}

// Admits says in a sentence who gets in who should not. The first of the cells has the witness that it shows.
func Admits(cells []Cell) string {
	who := listed(cells)
	return fmt.Sprintf("%s%s%s.", capital(who), verb(cells[0], strings.Contains(who, " and ")), SuchAs(cells[0]))
}

// Names says in a sentence who gets in beside the identity because the document names them.
func Names(cells []Cell) string {
	in := "get in"
	if !cells[0].Reach.Some {
		in = "may get in"
	}
	return fmt.Sprintf("The document names the repository %s, and steps of it %s too%s.", cells[0].Repository, in, SuchAs(cells[0]))
}

// listed names cells. A repository's steps on and off deployments together are the repository's.
func listed(cells []Cell) string {
	const off, on = "/none", "/any other environment"
	has := func(who string) bool {
		return slices.ContainsFunc(cells, func(c Cell) bool { return c.Who == who })
	}
	var words []string
	for _, c := range cells {
		repository := strings.TrimSuffix(strings.TrimSuffix(c.Who, off), on)
		switch {
		case !has(repository+off) || !has(repository+on):
			words = append(words, c.Who)
		case !slices.Contains(words, repository):
			words = append(words, repository)
		}
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " and " + words[last]
	}
	return words[0]
}

// verb says how sure it is that somebody of a cell gets in, and how much of it.
func verb(c Cell, plural bool) string {
	switch {
	case !c.Reach.Some:
		return " may get in, which depends on " + c.Reach.Why
	case plural:
		return " get in" + c.Reach.Portion()
	}
	return " gets in" + c.Reach.Portion()
}

// Portion says how much of a cell gets in, where it is not nearly all: 1 in so many of the possible UUIDs.
func (e Extent) Portion() string {
	if e.Share <= 0 || e.Share > 0.75 {
		return ""
	}
	return " (1 in " + grouped(1/e.Share) + " of the possible UUIDs)"
}

// grouped is a number with commas, or a power of ten where it has many digits.
func grouped(n float64) string {
	if n >= 1e12 {
		return fmt.Sprintf("%.0e", n)
	}
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
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
