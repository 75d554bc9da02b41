package wif

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func bindingBraces() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-braces", Severity: finding.Error,
		Finds: "an attribute value without the UUID's braces",
		Why:   "The braces are part of the value. Without them the exchange succeeds, and the call for the service account fails with 403.",
		Fix:   "Put the UUID in braces, and the member in quotes.",
	}
}

func (c memberCase) lacksBraces() string {
	switch {
	case !c.ours, c.key == "", c.kind == oneGroup, c.matches == trust.Allow:
		return ""
	case c.known && bareUUID(c.value) && allBraced(c.actual):
		return fmt.Sprintf("The value %q has a UUID without its braces, and the token's %s is %q.", c.value, c.key, c.actual)
	case !c.known && bareUUID(c.value) && beginsWithUUID(c.value):
		return fmt.Sprintf("The value %q has a UUID without its braces, which the claims have.", c.value)
	}
	return ""
}

func isBare(span bitbucket.Span) bool { return !span.Braces }

// bareUUID reports whether a text has a UUID without braces.
func bareUUID(s string) bool { return slices.ContainsFunc(bitbucket.UUIDs(s), isBare) }

// allBraced reports whether a text has UUIDs, all of them in braces.
func allBraced(s string) bool { return len(bitbucket.UUIDs(s)) > 0 && !bareUUID(s) }

// beginsWithUUID reports whether a text begins as the values of Bitbucket's claims do: with a UUID, also behind an escaped brace.
func beginsWithUUID(s string) bool {
	start := bitbucket.UUIDs(s)[0].Start
	return start == 0 || strings.EqualFold(s[:start], "%7B")
}
