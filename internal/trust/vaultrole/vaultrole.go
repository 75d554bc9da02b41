// Package vaultrole judges roles of Vault's JWT auth method.
package vaultrole

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

// role is what `vault read -format=json auth/jwt/role/NAME` prints under "data". The role's name is not in it.
//
// Source: hashicorp/vault-plugin-auth-jwt, path_role.go.
type role struct {
	RoleType         string         `json:"role_type"` // jwt or oidc; Vault shows old roles that have none as jwt
	BoundAudiences   list           `json:"bound_audiences"`
	BoundSubject     string         `json:"bound_subject"`
	BoundClaimsType  string         `json:"bound_claims_type"` // string or glob
	BoundClaims      map[string]any `json:"bound_claims"`
	UserClaim        string         `json:"user_claim"`
	UserClaimPointer bool           `json:"user_claim_json_pointer"`
	GroupsClaim      string         `json:"groups_claim"`
	ClaimMappings    map[string]any `json:"claim_mappings"` // of claims to metadata
	BoundCIDRs       list           `json:"token_bound_cidrs"`
}

// A list is a list, or a text with commas, which Vault takes when a role is written.
type list []string

// DecodeNode reads either.
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

// A judgement is a role and what it makes of an identity.
type judgement struct {
	trust.Ruling
	role   role
	id     bitbucket.Identity
	chosen bool // what the author of a pipeline chooses is not known: the branch
}

// A Role is a role of Vault's JWT auth method. Whether Vault trusts the issuer is in the method's configuration, not in the role.
type Role struct {
	trust.Source
	role role
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

// Kind is that of a role.
func (r *Role) Kind() trust.Kind { return trust.VaultRole }

// Name is the role's URL where it is known: a role does not name itself.
func (r *Role) Name() string { return r.Of }

// Judge judges the role against an identity.
func (r *Role) Judge(id bitbucket.Identity, _ trust.Options) trust.Result {
	v := r.judge(id, false)
	if result := v.Result(trust.VaultRole, "", ""); result.Verdict == trust.Allow {
		r.others(v)
	}
	return r.Place(v.Result(trust.VaultRole, "", "The role lets this token in: audience and bound claims fit."))
}

// judge judges the role, without what the author of a pipeline chooses if that is not known.
func (r *Role) judge(id bitbucket.Identity, chosen bool) *judgement {
	v := &judgement{id: id, role: r.role, chosen: chosen}
	for _, check := range []func(*judgement){
		(*judgement).kind, (*judgement).audience, (*judgement).subject, (*judgement).claims,
		(*judgement).repository, (*judgement).user, (*judgement).rest,
	} {
		check(v)
	}
	return v
}

func (v *judgement) kind() {
	if v.role.RoleType != "" && v.role.RoleType != "jwt" {
		v.Deny(fmt.Sprintf("The role's role_type is %q, which is for people with a browser: a token logs in with jwt.", v.role.RoleType))
	}
}

func audienceMismatch() finding.Rule {
	return finding.Rule{
		Name: "vault-audience-mismatch", Severity: finding.Error,
		Finds: "`bound_audiences` that the token does not meet, or none",
		Why:   "A token with an audience is refused by a role that binds none, and by one that binds others.",
		Fix:   "Write the workspace's audience, without braces.",
	}
}

// audience compares. Vault refuses a token with an audience where the role binds none.
func (v *judgement) audience() {
	const rule, path = "vault-audience-mismatch", "bound_audiences"
	want, has := v.role.BoundAudiences, v.id.Claims.Audience
	fix := v.write(map[string]any{"bound_audiences": append(slices.Clone(want), bitbucket.WorkspaceAudience(v.id.Claims))})
	if len(want) == 0 {
		v.Refuse(rule, path, fmt.Sprintf("The role binds no audience, and the token has %s, which Vault then refuses.", trust.Quoted(has)), fix)
	} else if !slices.ContainsFunc(want, func(a string) bool { return slices.Contains(has, a) }) {
		v.Refuse(rule, path, fmt.Sprintf("The role wants the audience %s and the token has %s.", trust.Quoted(want), trust.Quoted(has)), fix)
	}
}

func subBound() finding.Rule {
	return finding.Rule{
		Name: "vault-sub-bound", Severity: finding.Error,
		Finds: "`bound_subject`, or a claim, bound to a step's UUID",
		Why:   "The subject and the step's UUID are new in every step run: the role works once.",
		Fix:   "Bind `repositoryUuid`, and `deploymentEnvironmentUuid` for a deployment environment.",
	}
}

// subject compares bound_subject, which Vault takes as a whole, without wildcards.
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
	v.Find(finding.Error, "vault-sub-bound", "bound_subject", "Vault compares bound_subject with the whole subject, which ends in the step's UUID: it matches one step and then no other.",
		v.bind("bound_subject"))
}

// claims compares bound_claims. All of them must fit, each with one of its values.
func (v *judgement) claims() {
	for _, name := range slices.Sorted(maps.Keys(v.role.BoundClaims)) {
		want := v.role.BoundClaims[name]
		has, there := claim(v.id.All, name, strings.HasPrefix(name, "/"))
		switch {
		case !v.id.Knows(strings.TrimPrefix(name, "/")):
			if !there || !v.globs() || !v.fits(want, has) { // else a wildcard takes what is not known
				v.Undecide(fmt.Sprintf("Undecided: the role binds the claim %s, and its value is not known here.", name))
			}
		case !there:
			v.Deny(fmt.Sprintf("The role binds the claim %s, which the token does not have.", name))
		case v.chosen && strings.TrimPrefix(name, "/") == "branchName":
			v.Undecide("Undecided: the branch is not known.")
		case !v.fits(want, has):
			v.Deny(fmt.Sprintf("The role wants %s %s and the token has %s.", name, shown(want), shown(has)))
		}
		if v.pinned(name, want) {
			v.Find(finding.Error, "vault-sub-bound", "bound_claims."+name, "The claim "+name+" is bound to a value of one run: it fits once and then never.",
				v.bind())
		}
	}
}

// fits reports whether one of the wanted values is one of those that the token has.
func (v *judgement) fits(want, has any) bool {
	for _, w := range items(want) {
		for _, h := range items(has) {
			text, texts := w.(string)
			value, values := h.(string)
			switch {
			case texts && values && v.globs():
				if glob(text, value) {
					return true
				}
			case texts && values:
				if text == value {
					return true
				}
			case !v.globs() && isScalar(w) && isScalar(h) && w == h:
				return true
			}
		}
	}
	return false
}

func (v *judgement) globs() bool { return v.role.BoundClaimsType == "glob" }

// pinned reports whether one of a claim's bound values is of one step.
func (v *judgement) pinned(name string, want any) bool {
	return slices.ContainsFunc(texts(want), func(value string) bool { return v.pins(name, value) })
}

// pins reports whether a bound value is of one step.
func (v *judgement) pins(name, value string) bool {
	step := bitbucket.StepUUID(v.id.Claims)
	switch {
	case step != "" && strings.Contains(strings.ToLower(value), strings.ToLower(step)):
		return true
	case strings.TrimPrefix(name, "/") == "stepUuid", strings.TrimPrefix(name, "/") == "pipelineUuid":
		return !v.globs() || !strings.Contains(value, "*") || len(bitbucket.UUIDs(value)) > 0
	case strings.TrimPrefix(name, "/") == "sub":
		return bitbucket.LikeSubject(value, v.id.Claims)
	}
	return false
}

func repositoryUnbound() finding.Rule {
	return finding.Rule{
		Name: "vault-repository-unbound", Anyone: true, Severity: finding.Error,
		Finds: "nothing that binds the repository",
		Why:   "Every repository of the workspace may log in with the role.",
		Fix:   "Add `repositoryUuid`, with braces, to `bound_claims`.",
	}
}

// repository finds a role that binds nothing of which the repository's tokens have their own value.
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
	v.Find(finding.Error, "vault-repository-unbound", "bound_claims", "Nothing binds the repository: every repository of the workspace gets in.",
		v.bind())
}

// wide reports whether a value is a pattern that holds no whole UUID, so that other repositories fit as well.
func (v *judgement) wide(value string) bool {
	return v.globs() && strings.Contains(value, "*") && len(bitbucket.UUIDs(value)) == 0
}

func userClaimPerStep() finding.Rule {
	return finding.Rule{
		Name: "vault-user-claim-per-step", Severity: finding.Warning,
		Finds: "a `user_claim` that changes in every step",
		Why:   "Vault creates an entity for each value of the claim: a new one in each step, and each counts as a client.",
		Fix:   "Write `\"user_claim\": \"repositoryUuid\"`.",
	}
}

// user looks at the claim that names the entity.
func (v *judgement) user() {
	name := v.role.UserClaim
	if name == "" {
		v.Undecide("Undecided: the file does not contain user_claim, and Vault keeps no role without it.")
		return
	}
	value, there := claim(v.id.All, name, v.role.UserClaimPointer)
	if _, text := value.(string); !there && !v.id.Knows(strings.TrimPrefix(name, "/")) {
		v.Undecide(fmt.Sprintf("Undecided: the role's user_claim is %s, and whether the token has it is not known here.", name))
	} else if !there || !text {
		v.Deny(fmt.Sprintf("The role's user_claim is %s, which is no text in this token.", name))
	}
	// pipelineUuid stays for one pipeline, which is a new entity each run as well.
	if slices.Contains([]string{"sub", "stepUuid", "pipelineUuid"}, strings.TrimPrefix(name, "/")) {
		v.Find(finding.Warning, "vault-user-claim-per-step", "user_claim", "The user_claim "+name+" changes in every run, so that each run is a new entity in Vault.",
			v.write(map[string]any{"user_claim": setup.VaultRoleFor(v.id.Claims).UserClaim}))
	}
}

// rest looks at what else can refuse a login: groups and metadata must be text.
// Source: hashicorp/vault-plugin-auth-jwt, path_login.go, createIdentity, and claims.go, extractMetadata.
func (v *judgement) rest() {
	if name := v.role.GroupsClaim; name != "" {
		groups, there := claim(v.id.All, name, strings.HasPrefix(name, "/"))
		switch {
		case !there:
			v.Deny(fmt.Sprintf("The role's groups_claim is %s, which the token does not have.", name))
		case len(texts(groups)) < len(items(groups)):
			v.Deny(fmt.Sprintf("The role's groups_claim is %s, which is no list of texts in this token.", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.role.ClaimMappings)) {
		value, there := claim(v.id.All, name, strings.HasPrefix(name, "/"))
		if _, text := value.(string); there && !text {
			v.Deny(fmt.Sprintf("The role's claim_mappings has %s, which is no text in this token.", name))
		}
	}
	if len(v.role.BoundCIDRs) > 0 {
		v.Undecide("Undecided: token_bound_cidrs depends on the source address, which is not known.")
	}
}

// bind is the command that makes the role bind the identity, beside what it binds already but to one step, and empties other
// fields.
func (v *judgement) bind(empty ...string) finding.Fix {
	role := setup.VaultRoleFor(v.id.Claims)
	bound := map[string]any{}
	for name, want := range v.role.BoundClaims {
		if !v.pinned(name, want) {
			bound[name] = want
		}
	}
	for name, value := range role.BoundClaims {
		delete(bound, "/"+name)
		bound[name] = value
	}
	change := map[string]any{"bound_claims": bound}
	if role.BoundClaimsType != "" {
		change["bound_claims_type"] = role.BoundClaimsType
	}
	for _, name := range empty {
		change[name] = ""
	}
	return v.write(change)
}

// write is the command that changes fields of the role. Of those that it does not name, Vault keeps all but two, which it would
// set back to oidc and string. Source: hashicorp/vault-plugin-auth-jwt, path_role.go, pathRoleCreateUpdate.
func (v *judgement) write(change map[string]any) finding.Fix {
	change["role_type"] = "jwt"
	if v.globs() {
		change["bound_claims_type"] = "glob"
	}
	return finding.Fix{Kind: finding.Shell, Text: shell.Document("vault write auth/jwt/role/"+setup.RoleName+" -", document.Indented(change))}
}
