package peers

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/test/cloud"
)

const inventoryMap = `version: 1
workspace: {slug: acme, uuid: "` + cloud.WorkspaceUUID + `"}
repositories:
  shop: {uuid: "` + cloud.RepositoryUUID + `", environments: {production: "` + cloud.EnvironmentUUID + `"}}
read: {aws: ["` + cloud.AWSAccount + `"]}
grants:
  - {who: [shop/production], become: ["` + cloud.RoleARN + `"]}
`

// TestLiveAWS: the AWS CLI reads the stand-in of IAM, so that its wire form is not ours alone, and what it prints is judged as what the
// program reads by itself.
func TestLiveAWS(t *testing.T) {
	t.Parallel()
	aws, err := onPath("aws")()
	if err != nil {
		verdicts.skip(t, "aws iam", err.Error())
	}
	verdicts.ran("aws iam")
	w := newWorld(t)
	w.AWS.Configure(func(c *cloud.AWSConfig) { c.IAM = cloud.Inventory{Page: 40, Others: 150} })
	env := w.login(t, login{variables: []string{"AWS_OIDC_ROLE_ARN=" + auditRole}})
	dir := t.TempDir()
	read := func(name string, args ...string) map[string]any {
		t.Helper()
		command := append([]string{"sh", "-c", `set -eu; . "$1"; shift; exec "$@"`, "sh", env}, append(aws, args...)...)
		out, err := run(t, dir, w.environment(dir), append(command, "--region", "us-east-1", "--endpoint-url", w.IAM.URL, "--output", "json")...)
		if err != nil {
			t.Fatalf("%v\n%s", err, mask(out, w.secrets()))
		}
		var answer map[string]any
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if roles := read("roles.json", "iam", "list-roles")["Roles"].([]any); len(roles) != 152 {
		t.Errorf("the CLI reads %d roles", len(roles))
	}
	provider := read("providers.json", "iam", "list-open-id-connect-providers")["OpenIDConnectProviderList"].([]any)[0].(map[string]any)["Arn"].(string)
	url := read("provider.json", "iam", "get-open-id-connect-provider", "--open-id-connect-provider-arn", provider)["Url"]
	if url != strings.TrimPrefix(issuer.URL(), "https://") {
		t.Errorf("the CLI reads the provider of %v", url)
	}
	if role := read("role.json", "iam", "get-role", "--role-name", "audit")["Role"].(map[string]any); role["RoleLastUsed"] == nil {
		t.Errorf("the CLI reads %v", role)
	}

	drift := driftOf(t, dir)
	offline := drift(w.environment(dir), "roles.json", "providers.json", "provider.json")
	clone := filepath.Dir(filepath.Dir(env))
	live := drift([]string{"PATH=" + os.Getenv("PATH"), "BITBUCKET_CLONE_DIR=" + clone, "AWS_ENDPOINT_URL_IAM=" + w.IAM.URL}, "--live")
	if len(offline) == 0 || !slices.Equal(offline, live) {
		t.Errorf("what the CLI printed: %q\nwhat was read: %q", offline, live)
	}
}

// driftOf is the program's drift: the ids of the differences that it finds.
func driftOf(t *testing.T, dir string) func(variables []string, args ...string) []string {
	t.Helper()
	advisor := filepath.Join(dir, "bitbucket-oidc")
	if err := goBuild("../..", advisor, "./pipe/bitbucket-oidc"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "access.yaml"), []byte(inventoryMap), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(variables []string, args ...string) []string {
		t.Helper()
		out, err := run(t, dir, variables, append([]string{advisor, "drift", "--no-exit-code", "--format", "json"}, args...)...)
		var answer struct {
			Differences []struct{ ID, Kind, Target string }
		}
		if err != nil || json.Unmarshal([]byte(out), &answer) != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		all := []string{}
		for _, d := range answer.Differences {
			all = append(all, d.Kind+" "+d.Target+" "+d.ID)
		}
		return all
	}
}

// TestLiveVault: Vault's own JWT authentication lists and shows its roles to the program.
func TestLiveVault(t *testing.T) {
	t.Parallel()
	local := serveIssuer(t)
	step := cloud.DefaultStep()
	v := startVault(t)
	v.write(t, "auth/jwt/config", map[string]any{"oidc_discovery_url": local.URL(), "bound_issuer": local.URL()})
	for name, claims := range map[string]map[string]any{
		"deploy": {"repositoryUuid": cloud.RepositoryUUID},
		"open":   {"workspaceUuid": cloud.WorkspaceUUID},
	} {
		v.write(t, "auth/jwt/role/"+name, map[string]any{
			"role_type": "jwt", "user_claim": "repositoryUuid", "bound_audiences": step.WorkspaceAudience(), "bound_claims": claims, "token_max_ttl": "15m",
		})
	}
	env := signIn(t, local, local.Token(step), "VAULT_ADDR="+v.url, "VAULT_ROLE=deploy")
	dir := t.TempDir()
	drift := driftOf(t, dir)
	mounted := strings.Replace(inventoryMap, `read: {aws: ["`+cloud.AWSAccount+`"]}`, "read: {vault: ["+v.url+"/v1/auth/jwt]}", 1)
	mounted = strings.Replace(mounted, cloud.RoleARN, v.url+"/v1/auth/jwt/role/deploy", 1)
	mounted = strings.Replace(mounted, "shop/production", "shop/*", 1)
	mounted = strings.Replace(mounted, "[shop/*]", `["shop/*"]`, 1)
	if err := os.WriteFile(filepath.Join(dir, "access.yaml"), []byte(mounted), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	// From here on the mount is one for the workspace's own tokens.
	v.write(t, "auth/jwt/config", map[string]any{
		"bound_issuer": issuer.URL(), "oidc_discovery_url": "", "jwt_validation_pubkeys": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	})
	got := drift([]string{"PATH=" + os.Getenv("PATH"), "BITBUCKET_CLONE_DIR=" + filepath.Dir(filepath.Dir(env)), "VAULT_ADDR=" + v.url}, "--live")
	if len(got) != 1 || !strings.HasPrefix(got[0], "unlisted "+v.url+"/v1/auth/jwt/role/open ") {
		t.Errorf("%q", got)
	}
}
