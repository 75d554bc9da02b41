package drift

import "bitbucket-oidc/internal/finding"

func providerRule() finding.Rule {
	return finding.Rule{
		Name: "drift-provider", Severity: finding.Error,
		Finds: "an OIDC provider that is missing, disabled or deleted, or has other audiences",
		Why:   "No role that relies on the provider lets anybody in.",
		Fix:   "Create the provider, or correct it.",
	}
}

// providers reports every fault of a provider.
func (c *comparison) providers() {
	for _, f := range c.state.Faults {
		d := c.relying(sourceOfProvider(f.Provider))
		d.Kind, d.Target = Provider, f.Provider
		d.Message, d.Fix = f.Message, f.Fix
		c.add(d)
	}
}
