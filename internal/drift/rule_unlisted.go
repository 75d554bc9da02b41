package drift

import (
	"fmt"
	"slices"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func unlistedRule() finding.Rule {
	return finding.Rule{
		Name: "drift-unlisted", Severity: finding.Error,
		Finds: "a target that lets in somebody of the workspace and that no grant names",
		Why:   "Nobody reviewed a role that somebody created by hand.",
		Fix:   "Add a grant to the map, or remove the trust.",
	}
}

// unlisted finds targets that no grant names.
func (c *comparison) unlisted() {
	for _, is := range c.state.Targets {
		if c.m.Names(is.Target) {
			continue
		}
		in := slices.Clone(is.Cells)
		in = slices.DeleteFunc(in, func(x trust.Cell) bool { return !x.Reach.Some })
		d := Difference{Kind: Unlisted, Target: is.Target}
		at := c.m.PlaceOfGrants() // where the grant is missing
		d.Line, d.Column = at.Line, at.Column
		d.Fix.Text = "add a grant to the map, or remove the trust"
		if len(in) > 0 {
			d.Who = who(in)
			d.Share = share(in)
			d.show(is, in, admitted)
			d.Message = fmt.Sprintf("%s %s in, and no grant of the map names this target.", listed(d.Who), verb(d.Who, "gets", "get"))
			c.add(d)
			continue
		}
		maybe := slices.DeleteFunc(slices.Clone(is.Cells), func(x trust.Cell) bool { return !x.Reach.Maybe })
		if len(maybe) > 0 {
			d.Kind, d.Who = Undecided, who(maybe)
			d.show(is, maybe, admitted)
			d.Message = fmt.Sprintf("No grant of the map names this target, and whether %s %s in %s.",
				listed(d.Who), verb(d.Who, "gets", "get"), unknown(maybe[0].Reach.Why))
			c.add(d)
		}
	}
}
