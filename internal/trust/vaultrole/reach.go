package vaultrole

import (
	"context"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// Reach finds who gets in through the role. Which issuer the mount trusts is not in the role: it is taken to be the universe's.
func (r *Role) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	if u.Issuer == "" {
		u.Issuer = "https://api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc"
	}
	return trust.Classes{
		Universe: u, Texts: r.texts(), Audiences: r.role.BoundAudiences, Chosen: r.readsBranch(), Inside: r.inside(),
		Judge: func(id bitbucket.Identity, chosen bool) (trust.Verdict, string) {
			v := r.judge(id, chosen)
			result := v.Result(trust.VaultRole, "", "")
			return result.Verdict, strings.TrimPrefix(result.Reason, "Undecided: ")
		},
	}.Cells(ctx)
}

// texts are what the role compares claims with.
func (r *Role) texts() []string {
	all := []string{}
	if r.role.BoundSubject != "" {
		all = append(all, r.role.BoundSubject)
	}
	for _, name := range slices.Sorted(maps.Keys(r.role.BoundClaims)) {
		all = append(all, texts(r.role.BoundClaims[name])...)
	}
	return all
}

// readsBranch reports whether the role binds the branch.
func (r *Role) readsBranch() bool {
	return r.role.BoundClaims["branchName"] != nil || r.role.BoundClaims["/branchName"] != nil
}

// inside names a claim that is bound to a pattern with a part of a UUID.
func (r *Role) inside() string {
	if r.role.BoundClaimsType != "glob" {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(r.role.BoundClaims)) {
		switch strings.TrimPrefix(name, "/") {
		case "repositoryUuid", "deploymentEnvironmentUuid", "sub", "stepUuid", "pipelineUuid":
			if slices.ContainsFunc(texts(r.role.BoundClaims[name]), cuts) {
				return "the pattern for " + name
			}
		}
	}
	return ""
}

// cuts reports whether a pattern ends in the middle of a UUID: beside whole UUIDs it has more than stars and what stands around them.
func cuts(pattern string) bool {
	if !strings.Contains(pattern, "*") {
		return false
	}
	for _, span := range slices.Backward(bitbucket.UUIDs(pattern)) {
		pattern = pattern[:span.Start] + pattern[span.End:]
	}
	return strings.Trim(pattern, "*:{}") != ""
}

func admitsOthers() finding.Rule {
	return finding.Rule{
		Name: "vault-admits-others", Anyone: true, Severity: finding.Error,
		Finds: "another repository's identity gets in, with a witness",
		Why:   "The role lets this identity in and is judged for everybody else of the workspace too: other repositories, their deployments, other branches, and steps that ask for more audiences. One of them gets in, or is not certainly refused. The finding has the claims of one, which `check --claims` confirms.",
		Fix:   "Bind `repositoryUuid` to the whole UUID, with braces.",
	}
}

func namesOthers() finding.Rule {
	return finding.Rule{
		Name: "vault-names-others", Severity: finding.Note,
		Finds: "another repository that the document names by its whole UUID",
		Why:   "A role can be shared on purpose. Everybody who may push to the other repository has the role too.",
		Fix:   "Remove the UUID, or write a role for each repository.",
	}
}

// others finds who else gets in through a role that lets the identity in.
func (r *Role) others(v *judgement) {
	cells := r.Reach(context.Background(), bitbucket.Around(v.id))
	v.FindOthers("vault-admits-others", "vault-names-others", cells, v.id, "bound_claims", v.bind())
}
