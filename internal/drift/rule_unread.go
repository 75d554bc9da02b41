package drift

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
)

func unreadRule() finding.Rule {
	return finding.Rule{
		Name: "drift-unread", Severity: finding.Error,
		Finds: "an account, a provider or a mount that `read` of the map lists and that no input has",
		Why:   "What was not read is not green.",
		Fix:   "Give the missing file, or give the identity that reads access.",
	}
}

// read finds what the map wants to be read and no input has.
func (c *comparison) read() {
	wanted := map[string][]string{"aws": c.m.Read.AWS, "gcp": c.m.Read.GCP, "vault": c.m.Read.Vault}
	for _, cloud := range []string{"aws", "gcp", "vault"} {
		for _, name := range wanted[cloud] {
			full := cloud + ":" + name
			i := slices.IndexFunc(c.state.Sources, func(s Source) bool { return s.Name == full })
			if i < 0 {
				c.unread(full, "no input held it")
			}
		}
	}
	for _, s := range c.state.Sources {
		if s.Why != "" {
			c.unread(s.Name, s.Why)
		}
	}
}

func (c *comparison) unread(name, why string) {
	d := c.relying(name)
	d.Kind, d.Target = Unread, name
	d.Message = fmt.Sprintf("%s was not read: %s.", name, strings.TrimSuffix(why, "."))
	d.Fix.Text = "give its documents, or let the reading identity in"
	c.add(d)
}

// targetUnread reports a target that was in no input, and that may exist.
func (c *comparison) targetUnread(t access.Target) {
	d := c.at(t.Name)
	d.Kind, d.Message = Unread, t.Name+" was in no input."
	d.Fix.Text = "give the document of the target, or read " + source(t) + " as a whole"
	c.add(d)
}
