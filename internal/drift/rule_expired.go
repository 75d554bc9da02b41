package drift

import (
	"fmt"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
)

func expiredRule() finding.Rule {
	return finding.Rule{
		Name: "drift-expired", Severity: finding.Error,
		Finds: "a grant whose last day is over",
		Why:   "An expired grant grants nothing.",
		Fix:   "Extend `until` by pull request, or remove the grant.",
	}
}

// expired reports a grant after its last day. The difference is at the grant's place, and names its target and its steps.
func (c *comparison) expired(d Difference, g access.Grant) {
	d.Kind = Expired
	d.Message = fmt.Sprintf("The grant of %s to %s ended on %s.", d.Target, listed(d.Who), g.Until.Format("2006-01-02"))
	d.Fix.Text = "extend until by pull request, or remove the grant"
	c.add(d)
}
