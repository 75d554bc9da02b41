package vaultrole

import (
	"cmp"
	"fmt"
	"strings"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// A mount is what the configuration of a JWT auth method says of the tokens that it takes.
//
// Source: hashicorp/vault-plugin-auth-jwt, path_config.go.
type mount struct {
	Issuer    string `json:"bound_issuer"` // empty: any
	Discovery string `json:"oidc_discovery_url"`
	JWKS      string `json:"jwks_url"`
	Keys      list   `json:"jwt_validation_pubkeys"`
}

// Under puts the role under the configurations of the same call. A role does not name its mount, so each of them may be its own.
func (r *Role) Under(configurations []*document.Node) error {
	for _, n := range configurations {
		var m mount
		if err := n.Decode(&m); err != nil {
			return fmt.Errorf("vault-config: %w", err)
		}
		r.mounts = append(r.mounts, m)
	}
	return nil
}

// issuer is the issuer that the only mount trusts, or empty.
func (r *Role) issuer() string {
	if len(r.mounts) != 1 {
		return ""
	}
	return cmp.Or(r.mounts[0].Issuer, r.mounts[0].Discovery)
}

// takes reports whether the mount takes tokens of an issuer, and why it does not or may not. Without a bound issuer only the signature
// counts, and it is not known which other keys sign a token.
func (m mount) takes(issuer string) (takes trust.Truth, why string) {
	switch {
	case m.Issuer != "" && m.Issuer != issuer:
		return trust.No, fmt.Sprintf("the mount's bound_issuer is %q and the token's issuer is %q", m.Issuer, issuer)
	case m.Discovery != "" && strings.TrimSuffix(m.Discovery, "/") != issuer:
		return trust.Unknown, fmt.Sprintf("the mount's oidc_discovery_url is %q, and it is not known whether its keys sign this token", m.Discovery)
	case m.JWKS != "" && m.JWKS != issuer+"/keys.json":
		return trust.Unknown, fmt.Sprintf("the mount's jwks_url is %q, and it is not known whether its keys sign this token", m.JWKS)
	case len(m.Keys) > 0:
		return trust.Unknown, "the mount has keys in jwt_validation_pubkeys, and it is not known whose they are"
	}
	return trust.Yes, ""
}

// mount looks at the issuer. Several mounts decide only if they agree.
func (v *judgement) mount() {
	least, most, why := trust.Yes, trust.No, ""
	for _, m := range v.mounts {
		takes, because := m.takes(v.id.Claims.Issuer)
		least, most, why = min(least, takes), max(most, takes), cmp.Or(why, because)
	}
	switch {
	case least == trust.Yes:
	case most == trust.No:
		v.Deny(strings.ToUpper(why[:1]) + why[1:] + ".")
	default:
		v.Undecide("Undecided: " + why + ".")
	}
}
