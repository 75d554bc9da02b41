package wif

import "bitbucket-oidc/internal/finding"

func bindingUnmapped() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-unmapped", Severity: finding.Error,
		Finds: "a member on an attribute that the provider does not map",
		Why:   "No identity ever has the attribute, so the binding lets in nobody.",
		Fix:   "Map the attribute in the provider, or bind an attribute that the provider maps.",
	}
}

func (c memberCase) unmapped() string {
	if !c.ours || c.through == nil || c.key == "" {
		return ""
	}
	if _, mapped := c.through.file.AttributeMapping[c.key]; mapped {
		return ""
	}
	return "The provider does not map " + c.key + ", so the member never matches."
}
