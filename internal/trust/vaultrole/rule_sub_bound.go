package vaultrole

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func subBound() finding.Rule {
	return finding.Rule{
		Name: "vault-sub-bound", Severity: finding.Error,
		Finds: "`bound_subject`, or a claim, bound to a step's UUID",
		Why:   "The subject and the step's UUID are new in every step run: the role works once.",
		Fix:   "Bind `repositoryUuid`, and `deploymentEnvironmentUuid` for a deployment environment.",
	}
}

// subject compares bound_subject, which Vault compares as a whole, without wildcards.
func (v *judgement) subject() {
	want, has := v.role.BoundSubject, v.id.Claims.Subject
	if want == "" {
		return
	}
	if want != has && !v.id.Knows("sub") {
		v.Undecide("Undecided: the role has a bound_subject, and the token's subject is not known here.")
	} else if want != has {
		v.Deny(fmt.Sprintf("The role's bound_subject is %q and the token's subject is %q.", want, has))
	}
	v.Find(finding.Error, "vault-sub-bound", "bound_subject",
		"Vault compares bound_subject with the whole subject, which ends in the step's UUID: it matches one step run and no other.", v.bind("bound_subject"))
}

// boundToStep finds a bound claim with a value that only one step has.
func (v *judgement) boundToStep(name string, want any) {
	if v.pinned(name, want) {
		v.Find(finding.Error, "vault-sub-bound", "bound_claims."+name,
			"The claim "+name+" is bound to a value of one pipeline run: it matches in that run and never again.", v.bind())
	}
}

// pinned reports whether a claim is bound to a value that only one step has.
func (v *judgement) pinned(name string, want any) bool {
	return slices.ContainsFunc(texts(want), func(value string) bool { return v.pins(name, value) })
}

// pins reports whether only one step has a value.
func (v *judgement) pins(name, value string) bool {
	if step := bitbucket.StepUUID(v.id.Claims); step != "" && strings.Contains(strings.ToLower(value), strings.ToLower(step)) {
		return true
	}
	switch strings.TrimPrefix(name, "/") {
	case "stepUuid", "pipelineUuid":
		return !v.globs() || !strings.Contains(value, "*") || len(bitbucket.UUIDs(value)) > 0
	case "sub":
		return bitbucket.LikeSubject(value, v.id.Claims)
	}
	return false
}
