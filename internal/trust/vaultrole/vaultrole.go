// Package vaultrole judges roles of Vault's JWT auth method.
package vaultrole

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// role is what `vault read -format=json auth/jwt/role/NAME` prints under "data". It does not contain the name of the role.
//
// Source: hashicorp/vault-plugin-auth-jwt, path_role.go.
type role struct {
	RoleType         string         `json:"role_type"` // jwt or oidc; Vault shows jwt for old roles without a type
	BoundAudiences   list           `json:"bound_audiences"`
	BoundSubject     string         `json:"bound_subject"`
	BoundClaimsType  string         `json:"bound_claims_type"` // string or glob
	BoundClaims      map[string]any `json:"bound_claims"`
	UserClaim        string         `json:"user_claim"`
	UserClaimPointer bool           `json:"user_claim_json_pointer"`
	GroupsClaim      string         `json:"groups_claim"`
	ClaimMappings    map[string]any `json:"claim_mappings"` // from claims to metadata
	BoundCIDRs       list           `json:"token_bound_cidrs"`
	OldCIDRs         list           `json:"bound_cidrs"` // what older versions of Vault call the same
}

// A list is a list, or a text with commas, which Vault accepts when a role is written.
type list []string

// DecodeNode reads a list or a text.
func (l *list) DecodeNode(n *document.Node) error {
	if !n.Is(document.String) {
		return n.Decode((*[]string)(l))
	}
	for item := range strings.SplitSeq(n.Text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l = append(*l, item)
		}
	}
	return nil
}

// A Role is a role of Vault's JWT auth method. The issuer that Vault trusts is in the configuration of the method, not in the role.
type Role struct {
	trust.Source
	role   role
	mounts []mount // that the role may be of
}

// Read reads a role, and reports whether a file is one.
func Read(f *document.File) (*Role, bool, error) {
	inner := f.Root
	if data := f.Root.Get("data"); data != nil {
		inner = data
	}
	if !inner.Has("user_claim", "bound_audiences", "bound_claims", "bound_subject") {
		return nil, false, nil
	}
	r := &Role{Source: trust.Source{In: f, Inner: inner}}
	if err := inner.Decode(&r.role); err != nil {
		return nil, true, fmt.Errorf("vault-role: %w", err)
	}
	return r, true, nil
}

// Kind is the kind of a role.
func (r *Role) Kind() trust.Kind { return trust.VaultRole }

// Name is the URL of the role, if it is known: a role does not name itself.
func (r *Role) Name() string { return r.Of }

// Judge judges the role against an identity.
func (r *Role) Judge(id bitbucket.Identity, _ trust.Options) trust.Result {
	v := r.judge(id, false)
	if result := v.Result(trust.VaultRole, "", ""); result.Verdict == trust.Allow {
		v.others()
	}
	result := v.Result(trust.VaultRole, "", "The role lets this token in: audience and bound claims fit.")
	if v.wanted != nil {
		result.Wanted = document.Indented(v.wanted)
	}
	return r.Place(result)
}

// A judgement is the judgement of a role for one identity.
type judgement struct {
	*Role
	trust.Ruling
	id     bitbucket.Identity
	chosen bool // what the author of a pipeline chooses is taken to be unknown: the branch
	wanted any  // the members of the role that would end the first refusal; nil if no check refused
}

// refuse denies. wanted is what the role must have instead.
func (v *judgement) refuse(wanted any, format string, args ...any) {
	if v.wanted == nil {
		v.wanted = wanted
	}
	v.Deny(fmt.Sprintf(format, args...))
}

// judge judges the role, in the order in which Vault looks at it: the first refusal is then the one that Vault's answer names.
// Source: hashicorp/vault-plugin-auth-jwt v0.26.1, path_login.go, pathLogin and createIdentity.
func (r *Role) judge(id bitbucket.Identity, chosen bool) *judgement {
	v := &judgement{Role: r, id: id, chosen: chosen}
	v.kind()
	v.addresses()
	v.mount()
	v.subject()
	v.audience()
	v.user()
	v.metadata()
	v.groups()
	v.claims()
	v.repository()
	return v
}

func (v *judgement) kind() {
	if v.role.RoleType != "" && v.role.RoleType != "jwt" {
		v.refuse(map[string]any{"role_type": "jwt"},
			"The role's role_type is %q, which is for people with a browser: a token logs in with jwt.", v.role.RoleType)
	}
	switch v.role.BoundClaimsType {
	case "", "string", "glob":
	default:
		v.Undecide(fmt.Sprintf("Undecided: the role's bound_claims_type is %q, and Vault keeps no role with it.", v.role.BoundClaimsType))
	}
}

// addresses looks at the source addresses, which are not known.
func (v *judgement) addresses() {
	switch {
	case len(v.role.BoundCIDRs) > 0:
		v.Undecide("Undecided: token_bound_cidrs depends on the source address, which is not known.")
	case len(v.role.OldCIDRs) > 0:
		v.Undecide("Undecided: bound_cidrs depends on the source address, which is not known.")
	}
}

// metadata looks at the claims that become metadata: each must be a text, if the token has it.
func (v *judgement) metadata() {
	for _, name := range slices.Sorted(maps.Keys(v.role.ClaimMappings)) {
		if value, there := v.claim(name); there && !isText(value) {
			rest := maps.Clone(v.role.ClaimMappings)
			delete(rest, name)
			v.refuse(map[string]any{"claim_mappings": rest}, "The role's claim_mappings has %s, which is not a text in this token.", name)
		}
	}
}

// groups looks at the claim that names groups: it must be a text or a list of texts.
func (v *judgement) groups() {
	name := v.role.GroupsClaim
	if name == "" {
		return
	}
	none := map[string]any{"groups_claim": ""}
	groups, there := v.claim(name)
	switch {
	case !there:
		v.refuse(none, "The role's groups_claim is %s, which the token does not have.", name)
	case len(texts(groups)) < len(items(groups)):
		v.refuse(none, "The role's groups_claim is %s, which is not a list of texts in this token.", name)
	}
}

// claims compares bound_claims. All of them must fit, each with one of its values.
func (v *judgement) claims() {
	for _, name := range slices.Sorted(maps.Keys(v.role.BoundClaims)) {
		want := v.role.BoundClaims[name]
		has, there := v.claim(name)
		switch {
		case !v.id.Knows(strings.TrimPrefix(name, "/")):
			if !there || !v.globs() || !v.fits(want, has) { // else the pattern fits every value that the claim can have
				v.Undecide(fmt.Sprintf("Undecided: the role binds the claim %s, and its value is not known here.", name))
			}
		case !there:
			v.refuse(v.explained(), "The role binds the claim %s, which the token does not have.", name)
		case len(items(want)) == 0:
			v.refuse(v.explained(), "The role binds the claim %s to an empty list, which no value fits.", name)
		case v.chosen && strings.TrimPrefix(name, "/") == "branchName":
			v.Undecide("Undecided: the branch is not known.")
		case !v.fits(want, has):
			v.refuse(v.explained(), "The role wants %s %s and the token has %s.", name, shown(want), shown(has))
		}
		v.boundToStep(name, want)
	}
}

// fits reports whether one of the wanted values is one of the values that the token has. Among patterns, Vault refuses a value that is not
// a text (claims.go, matchFound).
func (v *judgement) fits(want, has any) bool {
	for _, w := range items(want) {
		if v.globs() && !isText(w) {
			return false
		}
		for _, h := range items(has) {
			switch {
			case v.globs() && isText(h) && trust.Glob(w.(string), h.(string)):
				return true
			case !v.globs() && isScalar(w) && isScalar(h) && w == h:
				return true
			}
		}
	}
	return false
}

func (v *judgement) globs() bool { return v.role.BoundClaimsType == "glob" }
