package drift

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
)

func unenforceableRule() finding.Rule {
	return finding.Rule{
		Name: "drift-unenforceable", Severity: finding.Note,
		Finds: "something that the map says and that the cloud cannot enforce",
		Why:   "AWS does not see the branch. Vault cannot require that a claim is absent.",
		Fix:   "Use a deployment environment: Bitbucket can restrict its branches.",
	}
}

// unenforceable reports a part of a grant that the cloud cannot enforce. The difference is at the grant's place, and names its target
// and its steps.
func (c *comparison) unenforceable(d Difference, t access.Target, g access.Grant) {
	if d.Message = beyond(t, g); d.Message == "" {
		return
	}
	d.Kind = Unenforceable
	d.Fix.Text = "use a deployment environment: Bitbucket can restrict its branches"
	c.add(d)
}

// beyond is a sentence about the part of a grant that the cloud cannot enforce, or empty.
func beyond(t access.Target, g access.Grant) string {
	if t.Kind == access.VaultRole && slices.ContainsFunc(g.Who, func(w access.Who) bool { return w.Environment == access.NoEnvironment }) {
		return "Vault cannot require that a step has no deployment environment."
	}
	if len(g.Branches) == 0 || t.Kind == access.VaultRole {
		return ""
	}
	return fmt.Sprintf("The branches %s cannot be held by the policy of %s.", strings.Join(g.Branches, ", "), t.Name)
}
