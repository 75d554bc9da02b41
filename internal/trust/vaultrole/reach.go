package vaultrole

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// Reach finds who gets in through the role. The role does not say which issuer its mount trusts: it is taken to be the issuer of the
// universe or, if it has none, of the mount in the same call.
func (r *Role) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	if u.Issuer = cmp.Or(u.Issuer, r.issuer()); u.Issuer == "" {
		u.Issuer = "https://api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc"
	}
	return trust.Classes{
		Universe: u, Texts: r.texts(), Audiences: r.audiences(), Chosen: r.readsBranch(), Globs: true, Inside: r.inside(),
		Judge: func(id bitbucket.Identity, chosen bool) (trust.Verdict, string) {
			v := r.judge(id, chosen)
			result := v.Result(trust.VaultRole, "", "")
			return result.Verdict, "this: " + strings.TrimPrefix(result.Reason, "Undecided: ")
		},
	}.Cells(ctx)
}

// texts are the texts that the role compares claims with.
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

// audiences are the audiences that the role names: steps can ask for them. A pattern without its stars is an audience that it matches.
func (r *Role) audiences() []string {
	all := slices.Clone([]string(r.role.BoundAudiences))
	for _, name := range slices.Sorted(maps.Keys(r.role.BoundClaims)) {
		if claim, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/"); claim == "aud" {
			for _, text := range texts(r.role.BoundClaims[name]) {
				all = append(all, strings.ReplaceAll(text, "*", ""))
			}
		}
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

// cuts reports whether a pattern can end inside a UUID: without its whole UUIDs, it has more than stars, braces and colons.
func cuts(pattern string) bool {
	if !strings.Contains(pattern, "*") {
		return false
	}
	for _, span := range slices.Backward(bitbucket.UUIDs(pattern)) {
		pattern = pattern[:span.Start] + pattern[span.End:]
	}
	return strings.Trim(pattern, "*:{}") != ""
}
