package access

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// published is the schema that editors complete and check maps with.
func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../../docs/access.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("access.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("access.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// texted is a YAML node as an editor hands it to a schema: a plain date is a text.
func texted(t *testing.T, n *yaml.Node) any {
	t.Helper()
	if n.Kind == yaml.ScalarNode && n.Tag == "!!timestamp" {
		return n.Value
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return texted(t, n.Content[0])
	case yaml.MappingNode:
		all := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			all[n.Content[i].Value] = texted(t, n.Content[i+1])
		}
		return all
	case yaml.SequenceNode:
		all := []any{}
		for _, item := range n.Content {
			all = append(all, texted(t, item))
		}
		return all
	}
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// full has every key that a map can have.
const full = `version: 1
workspace: {slug: acme, uuid: 7baee083-4f25-4a97-8a9a-0fde1b623b45}
repositories:
  shop: {uuid: "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}", environments: {production: "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"}}
  tools: {uuid: 91D0C7AA-12f3-4d55-8a4b-f00dfeedbeef}
read:
  aws: ["123456789012"]
  gcp: [projects/123456789012/locations/global/workloadIdentityPools/ci-pool/providers/bitbucket]
  vault: [https://vault.acme.example/v1/auth/jwt]
grants:
  - become: [arn:aws:iam::123456789012:role/ci/deploy, deploy@acme-prod.iam.gserviceaccount.com]
    who: [shop/production]
    session: 1h30m
    audiences: [https://vault.acme.example]
    branches: [main, release/*]
    through: projects/123456789012/locations/global/workloadIdentityPools/ci-pool/providers/bitbucket
    owner: payments
    why: SHOP-12
    until: 2027-03-31
  - become: ["https://vault.acme.example/v1/auth/jwt/role/shop?namespace=team", https://acme.pam.okta.com/team/pipelines]
    who: ["shop/*", tools/none]
accept:
  - {id: 4f1c9a27e0b3, until: 2027-01-15, why: the role is being removed}
`

// TestSchema holds the published schema to the program: what one of them refuses, the other refuses as well.
func TestSchema(t *testing.T) {
	schema := published(t)
	tests := []struct {
		name, from, to string
		wrong          bool
	}{
		{name: "every key"},
		{name: "without what is optional", from: full[strings.Index(full, "accept:"):], to: ""},
		{name: "unknown key at the top", from: "version: 1", to: "version: 1\nextra: 1", wrong: true},
		{name: "unknown key of the workspace", from: "slug: acme,", to: "slug: acme, name: acme,", wrong: true},
		{name: "unknown key of a repository", from: "tools: {", to: "tools: {name: x, ", wrong: true},
		{name: "unknown key of read", from: "  aws: [", to: "  azure: []\n  aws: [", wrong: true},
		{name: "unknown key of a grant", from: "    owner:", to: "    team:", wrong: true},
		{name: "unknown key of accept", from: "- {id:", to: "- {by: x, id:", wrong: true},
		{name: "another version", from: "version: 1", to: "version: 2", wrong: true},
		{name: "version as a text", from: "version: 1", to: `version: "1"`, wrong: true},
		{name: "no version", from: "version: 1\n", to: "", wrong: true},
		{name: "half a pair of braces", from: "91D0C7AA-12f3-4d55-8a4b-f00dfeedbeef", to: `"{91D0C7AA-12f3-4d55-8a4b-f00dfeedbeef"`, wrong: true},
		{name: "lists that are still empty", from: full[strings.Index(full, "read:"):strings.Index(full, "grants:")], to: "read:\n"},
		{name: "no difference accepted yet", from: full[strings.Index(full, "accept:")+len("accept:"):], to: "\n"},
		{name: "a repository whose environments are still empty", from: "tools: {", to: "tools: {environments: , "},
		{name: "an owner and a reason that are numbers", from: "owner: payments\n    why: SHOP-12", to: "owner: 7\n    why: 4711"},
		{name: "an owner and a reason that are still empty", from: "owner: payments\n    why: SHOP-12", to: "owner:\n    why:"},
		{name: "an account and an id without quotes", from: `aws: ["123456789012"]`, to: "aws: [123456789012]"},
		{name: "an id of digits without quotes", from: "id: 4f1c9a27e0b3", to: "id: 471109270003"},
		{name: "a slug of digits", from: "slug: acme", to: "slug: 4711"},
		{name: "a session of nothing", from: "session: 1h30m", to: "session: 0h0m", wrong: true},
		{name: "a session below a second", from: "session: 1h30m", to: "session: 1500ms", wrong: true},
		{name: "a session that is still empty", from: "session: 1h30m", to: "session:", wrong: true},
		{name: "a last day that is still empty", from: "until: 2027-03-31", to: "until:", wrong: true},
		{name: "a last day that is blank", from: "until: 2027-03-31", to: `until: ""`, wrong: true},
		{name: "no provider yet", from: full[strings.Index(full, "    through:"):strings.Index(full, "    owner:")], to: "    through:\n", wrong: true},
		{name: "a branch that is blank", from: "branches: [main, ", to: `branches: [" ", `, wrong: true},
		{name: "an audience without a value", from: "audiences: [https://vault.acme.example", to: "audiences: [~", wrong: true},
		{name: "a reason that is blank", from: "why: the role is being removed", to: `why: " "`, wrong: true},
		{name: "two namespaces", from: "?namespace=team", to: "?namespace=team&namespace=other", wrong: true},
		{name: "a mount without TLS", from: "[https://vault.acme.example/v1", to: "[http://vault.acme.example/v1", wrong: true},
		{name: "a mount of the machine itself", from: "[https://vault.acme.example/v1", to: "[http://127.0.0.1:8200/v1"},
		{name: "a mount with a password", from: "[https://vault.acme.example/v1", to: "[https://me:pw@vault.acme.example/v1", wrong: true},
		{name: "a Vault role without TLS", from: "https://vault.acme.example/v1/auth/jwt/role", to: "http://vault.acme.example/v1/auth/jwt/role", wrong: true},
		{name: "no slug", from: "slug: acme, ", to: "", wrong: true},
		{name: "a slug that is blank", from: "slug: acme", to: `slug: ""`, wrong: true},
		{name: "a slug that YAML takes for something else", from: "slug: acme", to: "slug: true"},
		{name: "a role's path in another script", from: "role/ci/deploy", to: "role/ć/deploy", wrong: true},
		{name: "a mount with capital letters in its scheme", from: "[https://vault.acme.example/v1", to: "[HTTPS://vault.acme.example/v1", wrong: true},
		{name: "slug with a space", from: "slug: acme", to: "slug: a b", wrong: true},
		{name: "short UUID", from: "91D0C7AA-", to: "91D0C7A-", wrong: true},
		{name: "environment named none", from: "{production:", to: "{none:", wrong: true},
		{name: "environment with a slash", from: "{production:", to: "{a/b:", wrong: true},
		{name: "account without its zeros", from: `"123456789012"`, to: `"3456789012"`, wrong: true},
		{name: "provider of a project's id", from: "gcp: [projects/123456789012", to: "gcp: [projects/acme", wrong: true},
		{name: "mount with a slash at its end", from: "auth/jwt]", to: "auth/jwt/]", wrong: true},
		{name: "mount that is a role", from: "[https://vault.acme.example/v1/auth/jwt]", to: "[https://vault.acme.example/jwt]", wrong: true},
		{name: "no target", from: "become: [arn:aws:iam::123456789012:role/ci/deploy, deploy@acme-prod.iam.gserviceaccount.com]", to: "become: []", wrong: true},
		{name: "no who", from: "    who: [shop/production]\n", to: "", wrong: true},
		{name: "a target's wildcard", from: "role/ci/deploy", to: "role/ci/*", wrong: true},
		{name: "a user in place of a role", from: ":role/ci/deploy", to: ":user/deploy", wrong: true},
		{name: "an account of another kind", from: "deploy@acme-prod.iam.gserviceaccount.com", to: "deploy@acme.example", wrong: true},
		{name: "another parameter of a Vault role", from: "?namespace=team", to: "?name=team", wrong: true},
		{name: "a repository without an environment", from: "who: [shop/production]", to: "who: [shop]", wrong: true},
		{name: "a session without a unit", from: "session: 1h30m", to: `session: "90"`, wrong: true},
		{name: "a month that no year has", from: "2027-03-31", to: "2027-13-01", wrong: true},
		{name: "an id in another form", from: "id: 4f1c9a27e0b3", to: "id: drift-wider", wrong: true},
		{name: "accept without a date", from: "until: 2027-01-15, ", to: "", wrong: true},
		{name: "accept without a reason", from: ", why: the role is being removed", to: "", wrong: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(full, tt.from, tt.to, 1)
			if text == full && tt.from != "" {
				t.Fatalf("%q is not in the sample", tt.from)
			}
			var root yaml.Node
			if err := yaml.Unmarshal([]byte(text), &root); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(texted(t, &root)); (err != nil) != tt.wrong {
				t.Errorf("the schema says %v", err)
			}
			if _, err := Parse("access.yaml", []byte(text)); (err != nil) != tt.wrong {
				t.Errorf("the program says %v", err)
			}
		})
	}
}
