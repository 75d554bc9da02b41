package inventory

import (
	"cmp"
	"slices"

	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/trust"
)

// add adds a target. A target that is already there has two documents, and either of them may be the deployed one: an identity that
// one of them lets in may get in, and an identity that one of them refuses may be refused. If they differ, no place in one of them
// says why.
func (x *inventory) add(d drift.Deployed) {
	i, twice := x.targets[d.Target]
	if !twice {
		x.targets[d.Target] = len(x.state.Targets)
		x.state.Targets = append(x.state.Targets, d)
		return
	}
	had := &x.state.Targets[i]
	had.Session = cmp.Or(had.Session, d.Session)
	if slices.EqualFunc(had.Cells, d.Cells, alike) {
		return
	}
	had.Cells, had.Deciding, had.Locate = both(had.Cells, d.Cells), nil, nil
}

// count counts the targets of each source.
func (x *inventory) count() {
	for _, d := range x.state.Targets {
		i, ok := x.sources[d.Source]
		if !ok {
			continue
		}
		x.state.Sources[i].Targets++
		if len(d.Cells) > 0 {
			x.state.Sources[i].Bitbucket++
		}
	}
}

func alike(a, b trust.Cell) bool {
	same := func(a, b trust.Extent) bool {
		return a.Some == b.Some && a.All == b.All && a.Maybe == b.Maybe && a.MaybeAll == b.MaybeAll && a.Pinned == b.Pinned && a.Share == b.Share
	}
	return a.Who == b.Who && same(a.Reach, b.Reach) && same(a.Usual, b.Usual) && same(a.Elsewhere, b.Elsewhere)
}

// both joins the cells of two documents of one target.
func both(a, b []trust.Cell) []trust.Cell {
	var all []trust.Cell
	for i, pair := range [][2][]trust.Cell{{a, b}, {b, a}} {
		for _, c := range pair[0] {
			other, named := within(pair[1], c)
			if i == 1 && named {
				continue // joined before
			}
			c.Reach, c.Elsewhere, c.Usual = more(c.Reach, other.Reach), more(c.Elsewhere, other.Elsewhere), less(c.Usual, other.Usual)
			all = append(all, c)
		}
	}
	return all
}

// within is the cell of a document that has the steps of c, and whether it is c itself. Of a cell that is not there, nobody gets in.
func within(cells []trust.Cell, c trust.Cell) (trust.Cell, bool) {
	for _, repository := range []string{c.Repository, ""} {
		for _, environment := range []string{c.Environment, ""} {
			for _, is := range cells {
				if is.Repository == repository && is.Environment == environment && is.Deployment == c.Deployment {
					return is, is.Who == c.Who
				}
			}
		}
	}
	return trust.Cell{}, false
}

// more is who gets in by either of two documents.
func more(a, b trust.Extent) trust.Extent {
	if b.Some && !a.Some || b.Maybe && !a.Maybe {
		a, b = b, a
	}
	a.All, a.MaybeAll = a.All || b.All, a.MaybeAll || b.MaybeAll
	if a.Some == b.Some {
		a.Share = max(a.Share, b.Share)
	}
	a.Pinned = a.Pinned || b.Pinned
	return a
}

// less is who gets in by both of two documents.
func less(a, b trust.Extent) trust.Extent {
	if a.Refused == nil && !b.Maybe {
		a.Refused = a.Witness
	}
	a.Some, a.Maybe = a.Some && b.Some, a.Maybe && b.Maybe
	a.All, a.MaybeAll = a.All && b.All, a.MaybeAll && b.MaybeAll
	a.Share = min(a.Share, b.Share)
	a.Pinned = a.Pinned && b.Pinned
	a.Refused = cmp.Or(a.Refused, b.Refused)
	a.Why = cmp.Or(b.Why, a.Why)
	return a
}
