package iam

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// A Role is the trust policy of a role, with what the file says about the role.
type Role struct {
	trust.Source
	role   role
	listed bool // one of a list of roles, most of which have nothing to do with Bitbucket
}

// Read reads the roles of a file, and reports whether the file has roles: it is a trust policy, or what `aws iam get-role` or
// `aws iam list-roles` prints.
func Read(f *document.File) ([]*Role, bool, error) {
	root, text := f.Root, file{data: f.Data}
	entries := []*document.Node{root}
	listed := false
	switch {
	case root.Get("Roles").Is(document.List):
		entries, listed = root.Get("Roles").Items, true
	case root.Get("Role").Is(document.Object):
		entries[0] = root.Get("Role")
	case root.Get("AssumeRolePolicyDocument") != nil:
	case isPolicy(root):
		return []*Role{{Source: trust.Source{In: f, Inner: root}, role: role{policy: text.policy(root)}}}, true, nil
	default:
		return nil, false, nil
	}
	roles := []*Role{}
	for i, entry := range entries {
		role, err := text.role(entry)
		if err != nil {
			return nil, true, fmt.Errorf("role %d: %w", i+1, err)
		}
		roles = append(roles, &Role{Source: trust.Source{In: f, Inner: entry.Get("AssumeRolePolicyDocument"), Around: entry}, role: role, listed: listed})
	}
	return roles, true, nil
}

// Kind is the kind of a role.
func (r *Role) Kind() trust.Kind { return trust.AWSRole }

// Name is the role's name, or what a collection calls it, such as a plan that has not named it yet; or empty.
func (r *Role) Name() string { return cmp.Or(r.role.name, r.Of) }

// Longest is how long a session of the role may last, or zero if the file does not say.
func (r *Role) Longest() time.Duration {
	seconds, err := strconv.ParseUint(r.role.maxSession, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// Concerns reports whether a role is worth a result. A role of a list is worth one only if it trusts a workspace of Bitbucket.
func (r *Role) Concerns(id bitbucket.Identity) bool {
	return !r.listed || r.role.policy.trustsBitbucket(id)
}

// Judge judges the role against an identity.
func (r *Role) Judge(id bitbucket.Identity, o trust.Options) trust.Result {
	return r.Place(judgeRole(r.role, id, o))
}
