package drift

import (
	"fmt"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func narrowerRule() finding.Rule {
	return finding.Rule{
		Name: "drift-narrower", Severity: finding.Warning,
		Finds: "a target that lets in only some of the steps to which the map grants it",
		Why:   "A policy that names whole subjects lets each step in once.",
		Fix:   "Replace the deployed policy with the rendered one.",
	}
}

// narrower reports an environment, or steps without one, if only some of the steps get in.
func narrower(d *Difference, is Deployed, cells []trust.Cell, _ []access.Who) {
	d.Message = fmt.Sprintf("Only some steps of %s get in, and the map grants all of them.", listed(d.Who))
	d.show(is, cells, refused)
}
