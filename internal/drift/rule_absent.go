package drift

import (
	"strings"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
)

func absentRule() finding.Rule {
	return finding.Rule{
		Name: "drift-absent", Severity: finding.Error,
		Finds: "a target of the map that does not exist, or that trusts nobody of the workspace",
		Why:   "A renamed workspace has a new issuer. A role that trusts the old issuer trusts nobody.",
		Fix:   "Create the target with the rendered policy, or remove the grant.",
	}
}

// absent reports a target that nobody can become, although the map grants it to somebody.
func (c *comparison) absent(t access.Target, granted []access.Who, why string) {
	if len(granted) == 0 {
		return
	}
	d := c.at(t.Name)
	d.Kind, d.Message, d.Fix = Absent, t.Name+" "+why+".", c.rendered(t)
	c.add(d)
}

// gone is what is known of a target that was not seen where it would be. A search for policies does not return those that name nobody. IAM
// compares names of roles without their paths and their case, so no other role can have a role's name.
func (c *comparison) gone(t access.Target) string {
	if t.Kind == access.ServiceAccount {
		return "does not exist, or trusts nobody"
	}
	for _, is := range c.state.Targets {
		if r, ok := access.ParseTarget(is.Target); ok && t.Kind == access.AWSRole && r.Account == t.Account && strings.EqualFold(r.Role, t.Role) {
			return "does not exist, and " + is.Target + " has its name"
		}
	}
	return "does not exist"
}
