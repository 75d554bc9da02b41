package drift

import (
	"fmt"
	"slices"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/trust"
)

// elsewhere reports steps that get in on branches for which the map does not grant the target. Only Vault can enforce branches: the
// note unenforceable says so of other targets.
func (c *comparison) elsewhere(t access.Target, is Deployed, granted []access.Who) {
	if t.Kind != access.VaultRole {
		return
	}
	found := map[Kind][]trust.Cell{}
	for _, cell := range is.Cells {
		in := slices.ContainsFunc(granted, func(w access.Who) bool { return contains(w, cell) })
		switch cell.Reach = cell.Elsewhere; {
		case in && cell.Elsewhere.Some:
			found[Wider] = append(found[Wider], cell)
		case in && cell.Elsewhere.Maybe:
			found[Undecided] = append(found[Undecided], cell)
		}
	}
	for kind, cells := range found {
		d := c.at(t.Name)
		d.Kind, d.Fix, d.Who = kind, c.rendered(t), who(cells)
		branches := listed(c.m.Of(t.Name, c.now)[0].Branches)
		if kind == Wider {
			d.Message = fmt.Sprintf("%s %s in on other branches as well, and the map grants %s only.", listed(d.Who), verb(d.Who, "gets", "get"), branches)
			d.Share = share(cells)
		} else {
			d.Message = fmt.Sprintf("The map grants the branches %s only, and whether %s %s in on others %s.",
				branches, listed(d.Who), verb(d.Who, "gets", "get"), unknown(cells[0].Elsewhere.Why))
		}
		d.show(is, cells, admitted)
		c.add(d)
	}
}
