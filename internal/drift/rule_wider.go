package drift

import (
	"fmt"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func widerRule() finding.Rule {
	return finding.Rule{
		Name: "drift-wider", Severity: finding.Error,
		Finds: "somebody who gets in, although the map does not grant the target",
		Why:   "A witness shows one such token: `check --claims` lets it in as well. An expired grant grants nothing.",
		Fix:   "Replace the deployed policy with the rendered one, or add the grant to the map by pull request.",
	}
}

// wider reports somebody who gets in and should not.
func wider(d *Difference, is Deployed, cells []trust.Cell, granted []access.Who) {
	d.Message = fmt.Sprintf("%s %s in, and the map grants %s.", listed(d.Who), verb(d.Who, "gets", "get"), onlyGranted(granted))
	d.Share = share(cells)
	d.show(is, cells, admitted)
}
