package drift

import (
	"cmp"
	"fmt"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func undecidedRule() finding.Rule {
	return finding.Rule{
		Name: "drift-undecided", Severity: finding.Warning,
		Finds: "somebody who may get in: it depends on something that no document says",
		Why:   "It can be an address range, a time, or a custom role.",
		Fix:   "Remove the condition, or accept the difference until a day.",
	}
}

// undecided reports somebody who may get in or not: the documents do not decide.
func undecided(d *Difference, is Deployed, cells []trust.Cell, granted []access.Who) {
	why := ""
	for _, x := range cells {
		_, because := compareCell(x, granted)
		why = cmp.Or(why, because)
	}
	d.Message = fmt.Sprintf("Whether %s %s in %s.", listed(d.Who), verb(d.Who, "gets", "get"), unknown(why))
	d.show(is, cells, admitted)
}
