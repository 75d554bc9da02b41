package drift

import (
	"fmt"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func missingRule() finding.Rule {
	return finding.Rule{
		Name: "drift-missing", Severity: finding.Error,
		Finds: "somebody who is certainly refused, although the map grants the target",
		Why:   "The login of such a step fails. A deployment environment that is deleted and created again has a new UUID.",
		Fix:   "Replace the deployed policy with the rendered one.",
	}
}

// missing reports somebody who is refused and should get in.
func missing(d *Difference, is Deployed, cells []trust.Cell, _ []access.Who) {
	d.Message = fmt.Sprintf("%s %s refused, and the map grants it.", listed(d.Who), verb(d.Who, "is", "are"))
	d.show(is, cells, refused)
}
