package collect

import (
	"cmp"
	"strings"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/pattern"
)

// A plan is a state, or what a plan makes of it, as `terraform show -json` prints it.
type plan struct {
	*taker
	file    *document.File
	address string                    // of the one Vault of the configuration, where it is written there
	unknown map[string]*document.Node // what is known only after apply, by the address of the resource
	account map[string]*granted       // of service accounts
	order   []string
}

// granted is what the resources of a plan grant on a service account.
type granted struct {
	at       *document.Node
	bindings []*document.Node
	unknown  string
}

// mostModules bounds how deep modules nest.
const mostModules = 50

func (t *taker) terraform(f *document.File, n *document.Node, _ bool) (bool, error) {
	values := n.Get("planned_values")
	if values == nil {
		values = n.Get("values")
	}
	if !n.Has("format_version") || !n.Has("terraform_version") && values == nil && len(n.Members) > 1 { // a state without resources has the version alone
		return false, nil
	}
	p := plan{taker: t, file: f, unknown: map[string]*document.Node{}, account: map[string]*granted{}, address: vaultAddress(n)}
	if changes := n.Get("resource_changes"); changes.Is(document.List) {
		for _, c := range changes.Items {
			p.unknown[text(c.Get("address"))] = c.Get("change").Get("after_unknown")
			p.deleted(c)
		}
	}
	if err := p.module(values.Get("root_module"), 0); err != nil {
		return true, err
	}
	for _, email := range p.order {
		p.policy(email, p.account[email])
	}
	return true, nil
}

// deleted notes a role that the plan deletes, also if the plan replaces the role.
func (p *plan) deleted(c *document.Node) {
	change := c.Get("change")
	arn := text(change.Get("before").Get("arn"))
	if text(c.Get("type")) != "aws_iam_role" || arn == "" || !change.Get("actions").Is(document.List) {
		return
	}
	for _, action := range change.Get("actions").Items {
		if text(action) == "delete" {
			p.add(Document{File: p.file.With(c), Kind: Named, Gone: []string{arn}})
		}
	}
}

func (p *plan) module(m *document.Node, depth int) error {
	if m == nil || depth > mostModules {
		return nil
	}
	if resources := m.Get("resources"); resources.Is(document.List) {
		for _, r := range resources.Items {
			if mode := text(r.Get("mode")); mode == "" || mode == "managed" {
				if err := p.resource(r); err != nil {
					return err
				}
			}
		}
	}
	if children := m.Get("child_modules"); children.Is(document.List) {
		for _, child := range children.Items {
			if err := p.module(child, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// isUnknown reports whether an attribute is known only after apply. The plan may say so for a whole list or object: a value that it
// leaves out is then unknown as well.
func (p *plan) isUnknown(r *document.Node, names ...string) bool {
	unknown := p.unknown[text(r.Get("address"))]
	if unknown.Is(document.Bool) {
		return anyTrue(unknown)
	}
	for _, name := range names {
		if n := unknown.Get(name); anyTrue(n) {
			return true
		}
	}
	return false
}

func anyTrue(n *document.Node) bool {
	switch {
	case n.Is(document.Bool):
		return n.Text == "true"
	case n.Is(document.List):
		for _, item := range n.Items {
			if anyTrue(item) {
				return true
			}
		}
	case n.Is(document.Object):
		for _, m := range n.Members {
			if anyTrue(m.Value) {
				return true
			}
		}
	}
	return false
}

const afterApply = ", which is known only after apply: build it from what is known before, such as the account's number"

func (p *plan) resource(r *document.Node) error {
	v := r.Get("values")
	if !v.Is(document.Object) {
		return nil
	}
	switch text(r.Get("type")) {
	case "aws_iam_role":
		p.role(r, v)
	case "aws_iam_openid_connect_provider":
		if !p.isUnknown(r, "url", "client_id_list") {
			p.provider(p.file, v, v.Get("arn"), v.Get("url"), v.Get("client_id_list"))
		}
	case "google_iam_workload_identity_pool":
		p.add(Document{File: p.file.With(v), Kind: Pool})
	case "google_iam_workload_identity_pool_provider":
		p.googleProvider(r, v)
	case "google_service_account_iam_member", "google_service_account_iam_binding", "google_service_account_iam_policy":
		return p.grant(r, v)
	case "vault_jwt_auth_backend_role":
		p.vaultRole(r, v)
	}
	return nil
}

func (p *plan) role(r, v *document.Node) {
	arn := v.Get("arn")
	if text(arn) == "" {
		arn = arnToBe(v)
	}
	role := v.New(
		document.Member{Name: "RoleName", Value: v.Get("name")}, document.Member{Name: "Arn", Value: arn},
		document.Member{Name: "MaxSessionDuration", Value: v.Get("max_session_duration")},
		document.Member{Name: "AssumeRolePolicyDocument", Value: v.Get("assume_role_policy")},
	)
	if p.isUnknown(r, "assume_role_policy") || !role.Has("AssumeRolePolicyDocument") {
		p.add(Document{File: p.file.With(role), Kind: Role, Target: cmp.Or(text(arn), text(r.Get("address"))), Unknown: "assume_role_policy" + afterApply})
		return
	}
	d := Document{File: p.file.With(v.New(document.Member{Name: "Roles", Value: v.List(role)}))}
	if text(arn) == "" {
		d.Target = text(r.Get("address"))
	}
	p.add(d)
}

// arnToBe is the ARN of a role that does not exist yet, or nil if it cannot be known. The account is that of the provider in the
// role's policy, because a role can only trust a provider of its own account.
func arnToBe(v *document.Node) *document.Node {
	name, path := text(v.Get("name")), cmp.Or(text(v.Get("path")), "/")
	account := ""
	for _, m := range trusted.FindAllStringSubmatch(text(v.Get("assume_role_policy")), -1) {
		if account != "" && account != m[1] {
			return nil
		}
		account = m[1]
	}
	if name == "" || account == "" {
		return nil
	}
	return v.String(account + ":role" + path + name)
}

var trusted = pattern.New(`(arn:aws[a-z-]*:iam::[0-9]{12}):oidc-provider/`)

func (p *plan) googleProvider(r, v *document.Node) {
	provider := v.New(
		document.Member{Name: "name", Value: v.Get("name")}, document.Member{Name: "state", Value: v.Get("state")}, document.Member{Name: "disabled", Value: v.Get("disabled")},
		document.Member{Name: "attributeMapping", Value: v.Get("attribute_mapping")}, document.Member{Name: "attributeCondition", Value: v.Get("attribute_condition")},
	)
	if provider.Get("name") == nil && v.Has("workload_identity_pool_provider_id") {
		provider.Members = append(provider.Members, document.Member{Name: "name", Value: v.Get("workload_identity_pool_provider_id")})
	}
	if oidc := v.Get("oidc"); oidc.Is(document.List) && len(oidc.Items) == 1 {
		o := oidc.Items[0]
		provider.Members = append(provider.Members, document.Member{Name: "oidc", Start: o.Start, Value: o.New(
			document.Member{Name: "issuerUri", Value: o.Get("issuer_uri")}, document.Member{Name: "allowedAudiences", Value: o.Get("allowed_audiences")},
		)})
	}
	d := Document{File: p.file.With(provider)}
	if p.isUnknown(r, "attribute_mapping", "attribute_condition", "oidc") {
		d.Kind, d.Unknown = "gcp-provider", "a part of the provider"+afterApply
	}
	p.add(d)
}

// grant gathers the bindings of a service account, which Terraform keeps in three kinds of resources.
func (p *plan) grant(r, v *document.Node) error {
	m := accountName.FindStringSubmatch("/" + text(v.Get("service_account_id")))
	email := text(v.Get("service_account_id"))
	if m != nil {
		email = m[1]
	}
	g := p.account[email]
	if g == nil {
		g = &granted{at: v}
		p.account[email] = g
		p.order = append(p.order, email)
	}
	if p.isUnknown(r, "service_account_id", "member", "members", "role", "policy_data", "condition") {
		g.unknown = "a part of what is granted on the service account" + afterApply
		return nil
	}
	if data := v.Get("policy_data"); data.Is(document.String) {
		policy, err := inner(data)
		if err != nil {
			return err
		}
		if b := policy.Get("bindings"); b.Is(document.List) {
			g.bindings = append(g.bindings, b.Items...)
		}
		return nil
	}
	members := v.Get("members")
	if members == nil {
		members = v.List(v.Get("member"))
	}
	b := v.New(document.Member{Name: "role", Value: v.Get("role")}, document.Member{Name: "members", Value: members})
	if c := v.Get("condition"); c.Is(document.List) && len(c.Items) == 1 {
		b.Members = append(b.Members, document.Member{Name: "condition", Start: c.Start, Value: c.Items[0]})
	}
	g.bindings = append(g.bindings, b)
	return nil
}

func (p *plan) policy(email string, g *granted) {
	d := Document{File: p.file.With(g.at.New(document.Member{Name: "bindings", Value: g.at.List(g.bindings...)})), Target: email}
	if g.unknown != "" {
		d.Kind, d.Unknown = Policy, g.unknown
	}
	p.add(d)
}

// vaultRole is a role of Vault. The provider takes commas for the ends of values, and keeps no server in its state.
func (p *plan) vaultRole(r, v *document.Node) {
	var members []document.Member
	for _, m := range v.Members {
		if !m.Value.Is(document.Null) {
			members = append(members, document.Member{Name: m.Name, Value: m.Value})
		}
	}
	role := v.New(members...)
	for i, m := range role.Members {
		if m.Name == "bound_claims" && m.Value.Is(document.Object) {
			role.Members[i].Value = split(m.Value)
		}
	}
	backend, name := strings.Trim(text(v.Get("backend")), "/"), text(v.Get("role_name"))
	if backend == "" {
		backend = "jwt"
	}
	d := Document{File: p.file.With(role), Target: "auth/" + backend + "/role/" + name}
	if p.address != "" {
		d.Target = strings.TrimSuffix(p.address, "/") + "/v1/" + d.Target
	}
	if ns := text(v.Get("namespace")); ns != "" {
		d.Target += "?namespace=" + ns
	}
	if p.isUnknown(r, "bound_claims", "bound_audiences", "bound_subject", "bound_claims_type", "user_claim") {
		d.Kind, d.Unknown = "vault-role", "a part of the role"+afterApply
	}
	p.add(d)
}

// split makes lists of values with commas.
func split(claims *document.Node) *document.Node {
	all := claims.New()
	for _, m := range claims.Members {
		value := m.Value
		if value.Is(document.String) && strings.Contains(value.Text, ",") {
			list := value.List()
			for part := range strings.SplitSeq(value.Text, ",") {
				list.Items = append(list.Items, value.String(strings.TrimSpace(part)))
			}
			value = list
		}
		all.Members = append(all.Members, document.Member{Name: m.Name, Start: m.Start, Value: value})
	}
	return all
}

var vaultProvider = pattern.New(`^(?:registry\.terraform\.io/)?hashicorp/vault$|^vault$`)

// vaultAddress is the address of the one provider of Vault, where the configuration has it as a constant.
func vaultAddress(n *document.Node) string {
	found := ""
	config := n.Get("configuration").Get("provider_config")
	if !config.Is(document.Object) {
		return ""
	}
	for _, m := range config.Members {
		if !vaultProvider.MatchString(text(m.Value.Get("name"))) && !vaultProvider.MatchString(text(m.Value.Get("full_name"))) {
			continue
		}
		address := text(m.Value.Get("expressions").Get("address").Get("constant_value"))
		if found != "" && address != found {
			return ""
		}
		found = address
	}
	return found
}
