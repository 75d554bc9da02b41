package vaultrole

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func repositoryUnbound() finding.Rule {
	return finding.Rule{
		Name: "vault-repository-unbound", Anyone: true, Severity: finding.Error,
		Finds: "nothing that binds the repository",
		Why:   "Every repository of the workspace may log in with the role.",
		Fix:   "Add `repositoryUuid`, with braces, to `bound_claims`.",
	}
}

// repository finds a role that binds no claim in which the repository's tokens differ from the tokens of others.
func (v *judgement) repository() {
	if v.role.BoundSubject != "" {
		return
	}
	for _, name := range []string{"repositoryUuid", "deploymentEnvironmentUuid", "sub", "stepUuid", "pipelineUuid"} {
		for _, key := range []string{name, "/" + name} {
			if want, bound := v.role.BoundClaims[key]; bound && !slices.ContainsFunc(texts(want), v.wide) {
				return
			}
		}
	}
	v.Find(finding.Error, "vault-repository-unbound", "bound_claims",
		"Nothing binds the repository by its whole UUID: other repositories of the workspace get in.", v.bind())
}

// wide reports whether a value is a pattern without a whole UUID, which other repositories match as well.
func (v *judgement) wide(value string) bool {
	return v.globs() && strings.Contains(value, "*") && len(bitbucket.UUIDs(value)) == 0
}
