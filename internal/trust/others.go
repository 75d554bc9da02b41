package trust

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

// FindOthers finds who else gets in through a document that lets an identity in. It finds an error if steps of any other repository get
// in, and a note for each other repository that the document names.
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

// Surest puts the cells of which somebody certainly gets in before the cells of which somebody may get in.
func Surest(cells []Cell) {
	rank := map[bool]int{true: 0, false: 1}
	slices.SortStableFunc(cells, func(a, b Cell) int { return rank[a.Reach.Some] - rank[b.Reach.Some] })
}

// Admits says in a sentence which steps get in that should not. It shows the witness of the first cell.
func Admits(cells []Cell) string {
	who := listed(cells)
	return fmt.Sprintf("%s%s%s.", capital(who), verb(cells[0], strings.Contains(who, " and ")), SuchAs(cells[0]))
}

// Names says in a sentence that steps of another repository get in because the document names the repository.
func Names(cells []Cell) string {
	in := "get in"
	if !cells[0].Reach.Some {
		in = "may get in"
	}
	return fmt.Sprintf("The document names the repository %s, and steps of it %s too%s.", cells[0].Repository, in, SuchAs(cells[0]))
}

// listed names cells. The steps of a repository on deployments and off together have the name of the repository.
func listed(cells []Cell) string {
	const off, on = "/none", "/any other environment"
	has := func(who string) bool {
		return slices.ContainsFunc(cells, func(c Cell) bool { return c.Who == who })
	}
	var names []string
	for _, c := range cells {
		repository := strings.TrimSuffix(strings.TrimSuffix(c.Who, off), on)
		switch {
		case !has(repository+off) || !has(repository+on):
			names = append(names, c.Who)
		case !slices.Contains(names, repository):
			names = append(names, repository)
		}
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return names[0]
}

// verb says how certain it is that somebody of a cell gets in, and how much of the cell does.
func verb(c Cell, plural bool) string {
	switch {
	case !c.Reach.Some:
		return " may get in, depending on " + c.Reach.Why
	case plural:
		return " get in" + c.Reach.Portion()
	}
	return " gets in" + c.Reach.Portion()
}

// Portion says how much of a cell gets in, if it is not nearly all: 1 in so many of the possible UUIDs.
func (e Extent) Portion() string {
	if e.Share <= 0 || e.Share > 0.75 {
		return ""
	}
	return " (1 in " + grouped(1/e.Share) + " of the possible UUIDs)"
}

// grouped is a number with commas, or with an exponent if it has many digits.
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

// SuchAs is the end of a sentence that shows the witness of a cell.
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

// capital is a text with a capital letter at its beginning.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
