package wif

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func bindingTwoAttributes() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-two-attributes", Severity: finding.Error,
		Finds: "two attributes in one member",
		Why:   "A member compares one attribute. Google reads the rest as part of its value.",
		Fix:   "Map one attribute that joins both, such as repository and environment, and bind that attribute.",
	}
}

func (c memberCase) twoAttributes() string {
	continues := slices.ContainsFunc([]string{"/", "&", "&&", ",", ";", " "}, func(separator string) bool {
		return strings.Contains(c.value, separator+"attribute.")
	})
	if c.kind != ofAttribute || c.matches == trust.Allow || !continues {
		return ""
	}
	return "The member has two attributes, and a member compares one: map an attribute that joins both."
}
