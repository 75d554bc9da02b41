package wif

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func bindingPinsStep() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-pins-step", Severity: finding.Error,
		Finds: "a subject member with a step's UUID",
		Why:   "The subject ends in the step's UUID, which is new in every step run: the binding works once.",
		Fix:   "Bind an attribute that stays the same, such as the repository's UUID.",
	}
}

func (c memberCase) pinsStep() string {
	if !c.ours || c.key == "" || !c.hasStep() {
		return ""
	}
	return fmt.Sprintf("The value %q contains the UUID of a step: it matches in one step run and never again.", c.value)
}

// hasStep reports whether the value of the member contains the UUID of this step, or of another step in the place where the value of the
// token has the UUID of this step.
func (c memberCase) hasStep() bool {
	claims := c.id.Claims
	step := bitbucket.StepUUID(claims)
	contains := func(s string) bool { return step != "" && strings.Contains(strings.ToLower(s), strings.ToLower(step)) }
	like := bitbucket.LikeSubject(c.value, claims)
	switch {
	case contains(c.value):
		return true
	case c.known && contains(c.actual):
		return like || bitbucket.IsUUID(bitbucket.Unbraced(c.actual)) && bitbucket.IsUUID(bitbucket.Unbraced(c.value))
	}
	// If the value of the token has two UUIDs and no step's, another value with two UUIDs may have no step's either.
	return c.kind == oneSubject && like && len(bitbucket.UUIDs(c.actual)) < 2
}
