package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/shell"
)

// JSON is every policy, with its target, as one document.
func (r Rendering) JSON() string {
	type target struct {
		Target string `json:"target"`
		Kind   Kind   `json:"kind"`
		Policy any    `json:"policy"`
	}
	targets := []target{}
	for _, p := range r.Policies {
		targets = append(targets, target{p.Target.Name, p.Target.Kind, p.Body})
	}
	return document.Indented(struct {
		Version   int        `json:"version"`
		Targets   []target   `json:"targets"`
		Providers []Provider `json:"providers,omitempty"`
	}{1, targets, r.Providers})
}

// Terraform is the configuration of every target as resources.
func (r Rendering) Terraform() string {
	var blocks []string
	named := labels{}
	for _, p := range r.Providers {
		blocks = append(blocks, p.terraform(named))
	}
	for _, p := range r.Policies {
		switch body := p.Body.(type) {
		case trustPolicy:
			blocks = append(blocks, named.resource("aws_iam_role", p.Target.Role+"_"+p.Target.Account, p.Target.Name, []row{
				{"name", hcl(p.Target.Role)},
				{"path", hcl(p.Target.Path)},
				{"max_session_duration", hcl(int(max(time.Hour, p.session).Seconds()))},
				{"assume_role_policy", "jsonencode(" + hcl(body) + ")"},
			}, ""))
		case gcpPolicy:
			blocks = append(blocks, named.resource("google_service_account_iam_binding", p.Target.Name, p.Target.Name, []row{
				{"service_account_id", hcl("projects/-/serviceAccounts/" + p.Target.Name)},
				{"role", hcl(workloadIdentityUser)},
				{"members", hcl(body.Bindings[0].Members)},
			}, ""))
		case vaultRole:
			blocks = append(blocks, body.terraform(named, p.Target))
		}
	}
	return strings.Join(blocks, "\n\n")
}

func (p Provider) terraform(named labels) string {
	parts := strings.Split(p.Name, "/") // projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER
	return named.resource("google_iam_workload_identity_pool_provider", parts[5]+"_"+parts[7], p.Name, []row{
		{"project", hcl(parts[1])},
		{"workload_identity_pool_id", hcl(parts[5])},
		{"workload_identity_pool_provider_id", hcl(parts[7])},
		{"attribute_mapping", hcl(p.AttributeMapping)},
		{"attribute_condition", hcl(p.AttributeCondition)},
	}, "oidc {\n"+assignments([]row{{"issuer_uri", hcl(p.OIDC.IssuerURI)}, {"allowed_audiences", hcl(p.OIDC.AllowedAudiences)}})+"\n}")
}

func (v vaultRole) terraform(named labels, t Target) string {
	claims := map[string]string{}
	for name, value := range v.BoundClaims {
		if list, ok := value.([]string); ok { // Terraform's provider takes the values of a claim as one text, with commas
			value = strings.Join(list, ",")
		}
		claims[name] = value.(string)
	}
	_, mount, _ := strings.Cut(t.Mount, "/v1/auth/")
	rows := []row{
		{"backend", hcl(mount)},
		{"role_name", hcl(t.VaultRole)},
		{"role_type", hcl(v.RoleType)},
		{"user_claim", hcl(v.UserClaim)},
		{"bound_audiences", hcl(v.BoundAudiences)},
		{"bound_claims", hcl(claims)},
		{"claim_mappings", hcl(v.ClaimMappings)},
		{"token_ttl", hcl(v.TokenTTL)},
		{"token_max_ttl", hcl(v.TokenMaxTTL)},
	}
	if v.BoundClaimsType != "" {
		rows = append(rows, row{"bound_claims_type", hcl(v.BoundClaimsType)})
	}
	if t.Namespace != "" {
		rows = append(rows, row{"namespace", hcl(t.Namespace)})
	}
	return named.resource("vault_jwt_auth_backend_role", t.VaultRole, t.Name, rows, "")
}

// Gcloud is the commands that make the providers and the bindings of service accounts. They add members and remove none: drift
// names the members to remove.
func (r Rendering) Gcloud() string {
	var commands []string
	for _, p := range r.Providers {
		var mapping []string
		for _, name := range slices.Sorted(maps.Keys(p.AttributeMapping)) {
			mapping = append(mapping, name+"="+p.AttributeMapping[name])
		}
		commands = append(commands, strings.Join([]string{
			"gcloud iam workload-identity-pools providers update-oidc " + shell.Word(p.Name),
			"--issuer-uri=" + shell.Word(p.OIDC.IssuerURI),
			"--allowed-audiences=" + shell.Word(strings.Join(p.OIDC.AllowedAudiences, ",")),
			"--attribute-mapping=" + shell.Word(strings.Join(mapping, ",")),
			"--attribute-condition=" + shell.Word(p.AttributeCondition),
		}, " \\\n  "))
	}
	for _, p := range r.Policies {
		policy, ok := p.Body.(gcpPolicy)
		if !ok {
			continue
		}
		for _, member := range policy.Bindings[0].Members {
			commands = append(commands, strings.Join([]string{
				"gcloud iam service-accounts add-iam-policy-binding " + shell.Word(p.Target.Name),
				"--project=" + shell.Word(p.Target.Project),
				"--role=" + workloadIdentityUser,
				"--member=" + shell.Word(member),
			}, " \\\n  "))
		}
	}
	return strings.Join(commands, "\n\n")
}

// Vault is the commands that write the roles of Vault.
func (r Rendering) Vault() string {
	var commands []string
	for _, p := range r.Policies {
		if _, ok := p.Body.(vaultRole); !ok {
			continue
		}
		server, path, _ := strings.Cut(p.Target.Mount, "/v1/")
		command := "VAULT_ADDR=" + shell.Word(server)
		if p.Target.Namespace != "" {
			command += " VAULT_NAMESPACE=" + shell.Word(p.Target.Namespace)
		}
		commands = append(commands, shell.Document(command+" vault write "+shell.Word(path+"/role/"+p.Target.VaultRole)+" -", document.Indented(p.Body)))
	}
	return strings.Join(commands, "\n\n")
}

// A row is an argument of a block of Terraform, with its value as an expression.
type row struct{ name, value string }

// labels are the labels of a configuration's resources, each with its kind.
type labels map[[2]string]bool

// resource is a block of Terraform, with a nested block where nested is not empty. Its label is the short one, or, where another
// resource has that, the long one.
func (l labels) resource(kind, short, long string, rows []row, nested string) string {
	key := [2]string{kind, label(short)}
	for n := 1; l[key]; n++ {
		key[1] = label(long)
		if n > 1 { // two names that differ only in what no label has
			key[1] += fmt.Sprintf("_%d", n)
		}
	}
	l[key] = true
	text := fmt.Sprintf("resource %q %q {\n", key[0], key[1]) + assignments(rows)
	if nested != "" {
		text += "\n\n" + indented(nested)
	}
	return text + "\n}"
}

func assignments(rows []row) string {
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(r.name))
	}
	var lines []string
	for _, r := range rows {
		lines = append(lines, indented(fmt.Sprintf("%-*s = %s", longest, r.name, r.value)))
	}
	return strings.Join(lines, "\n")
}

// label is a name as a label of Terraform, which begins with a letter or an underscore.
func label(name string) string {
	name = strings.Map(labelled, name)
	if r := name[0]; r == '-' || r >= '0' && r <= '9' {
		return "_" + name
	}
	return name
}

// labelled turns a character into one that a label of Terraform may have.
func labelled(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
		return r
	}
	return '_'
}

func indented(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// hcl is v as an expression of Terraform: JSON, with an escape before the characters that begin a template in a text.
func hcl(v any) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(document.Indented(v))
}
