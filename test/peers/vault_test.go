package peers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"

	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	"github.com/hashicorp/vault/sdk/logical"
)

// TestVault has HashiCorp's own JWT authentication, in process, judge the step's token: it fetches the keys, and knows
// audiences and bound claims. The tokens behind it are this test's, as Vault's core is no library.
func TestVault(t *testing.T) {
	t.Parallel()
	verdicts.ran("vault-plugin-auth-jwt")
	local := serveIssuer(t)
	step := cloud.DefaultStep()
	step.EnvironmentUUID = cloud.EnvironmentUUID
	claims := step.Claims(local.URL())
	token := local.Sign(claims)

	v := startVault(t)
	config := map[string]any{"oidc_discovery_url": local.URL(), "bound_issuer": local.URL()}
	bound := map[string]any{
		"role_type": "jwt", "user_claim": "repositoryUuid", "bound_audiences": step.WorkspaceAudience(), "token_ttl": "15m", "token_policies": "deploy",
		"bound_claims": map[string]any{"repositoryUuid": cloud.RepositoryUUID, "deploymentEnvironmentUuid": cloud.EnvironmentUUID},
	}
	// with is the role with one thing changed.
	with := func(name string, value any) map[string]any {
		changed := map[string]any{}
		for name, value := range bound {
			changed[name] = value
		}
		changed[name] = value
		return changed
	}
	v.write(t, "auth/jwt/config", config)
	v.write(t, "auth/jwt/role/deploy", bound)
	variables := func(role string) []string { return []string{"VAULT_ADDR=" + v.url, "VAULT_ROLE=" + role} }

	t.Run("login", func(t *testing.T) {
		env := signIn(t, local, token, variables("deploy")...)
		got := sourced(t, env, "VAULT_TOKEN")
		if !v.alive(got) || sourced(t, env, "VAULT_ADDR") != v.url {
			t.Error("VAULT_TOKEN is no token of this Vault")
		}
		if out, err := logOut(t, env, variables("")...); err != nil || v.alive(got) {
			t.Errorf("logout: %v, token alive: %v\n%s", err, v.alive(got), out)
		}
	})

	other := func(edit func(map[string]any)) string {
		claims := step.Claims(local.URL())
		edit(claims)
		return local.Sign(claims)
	}
	spoilt := token[:strings.LastIndex(token, ".")+1] + strings.Repeat("A", 342)
	v.write(t, "auth/jwt/role/subject", with("bound_subject", cloud.RepositoryUUID))
	v.write(t, "auth/jwt/role/branch", with("user_claim", "branchName"))
	for name, c := range map[string]struct {
		role, token string
		says        []string
	}{
		"role":    {role: "gone", token: token, says: []string{"role does not exist", "VAULT_ROLE"}},
		"subject": {role: "subject", token: token, says: []string{"binds another subject", "bound_claims"}},
		"issuer": {
			role: "deploy", token: other(func(c map[string]any) { c["iss"] = "https://other.example" }),
			says: []string{"another issuer", "bound_issuer=https://other.example"},
		},
		"expired": {
			role: "deploy", token: other(func(c map[string]any) { c["exp"] = time.Now().Add(-4 * time.Minute).Unix() }),
			says: []string{"the token has expired", "expired at 20"},
		},
		"signature": {role: "deploy", token: spoilt, says: []string{"does not accept the token", local.URL()}},
		"repository": {
			role: "deploy", token: other(func(c map[string]any) { c["repositoryUuid"] = "{0}" }),
			says: []string{"binds another repositoryUuid", "repositoryUuid is {0}"},
		},
		"no deployment": {
			role: "deploy",
			token: other(func(c map[string]any) {
				delete(c, "deploymentEnvironmentUuid")
				c["sub"] = cloud.RepositoryUUID + ":" + cloud.StepUUID
			}),
			says: []string{"binds another deploymentEnvironmentUuid", "deploymentEnvironmentUuid is missing"},
		},
	} {
		t.Run(name, func(t *testing.T) { isRefused(t, local, c.token, c.says, variables(c.role)...) })
	}

	// What a hint gives to paste mends what it is about.
	for name, c := range map[string]struct {
		role  map[string]any
		token string
		says  string
	}{
		"audience":    {with("bound_audiences", "https://other.example"), token, "does not bind the token's audience"},
		"no audience": {with("bound_audiences", ""), token, "binds no audience"},
		"user claim": {
			with("user_claim", "branchName"), other(func(c map[string]any) { delete(c, "branchName") }), "lacks the role's user_claim",
		},
		"role type": {
			map[string]any{
				"role_type": "oidc", "allowed_redirect_uris": "http://localhost:8250/oidc/callback", "user_claim": "repositoryUuid",
				"bound_audiences": step.WorkspaceAudience(),
			},
			token, "sign-in with a browser",
		},
	} {
		t.Run("paste/"+name, func(t *testing.T) {
			role := strings.ReplaceAll(name, " ", "-")
			v.write(t, "auth/jwt/role/"+role, c.role)
			out := isRefused(t, local, c.token, []string{c.says}, variables(role)...)
			path, data := pasted(t, out)
			v.write(t, path, data)
			env := signIn(t, local, c.token, variables(role)...)
			if !v.alive(sourced(t, env, "VAULT_TOKEN")) {
				t.Error("VAULT_TOKEN is no token of this Vault")
			}
		})
	}
	t.Run("paste/issuer", func(t *testing.T) {
		v.write(t, "auth/jwt/config", map[string]any{"oidc_discovery_url": local.URL(), "bound_issuer": "https://other.example"})
		path, data := pasted(t, isRefused(t, local, token, []string{"another issuer"}, variables("deploy")...))
		v.write(t, path, data)
		signIn(t, local, token, variables("deploy")...)
	})
}

// A vault is Vault's HTTP interface before its JWT authentication, mounted at jwt.
type vault struct {
	url     string
	backend logical.Backend
	storage logical.Storage

	mu     sync.Mutex
	tokens map[string]bool
}

func startVault(t *testing.T) *vault {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // the backend's own, until the test is over
	storage := &logical.InmemStorage{}
	backend, err := jwtauth.Factory(ctx, &logical.BackendConfig{
		StorageView: storage,
		System:      &logical.StaticSystemView{DefaultLeaseTTLVal: time.Hour, MaxLeaseTTLVal: 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	v := &vault{backend: backend, storage: storage, tokens: map[string]bool{}}
	server := httptest.NewServer(v)
	v.url = server.URL
	t.Cleanup(func() {
		server.Close()
		backend.Cleanup(ctx)
		cancel()
	})
	return v
}

func (v *vault) handle(ctx context.Context, path string, data map[string]any) (*logical.Response, error) {
	operation := logical.CreateOperation // config and roles: made, or changed if they are there
	if path == "login" || path == "config" {
		operation = logical.UpdateOperation
	}
	return v.backend.HandleRequest(ctx, &logical.Request{
		Operation: operation, Path: path, MountPoint: "auth/jwt/", Storage: v.storage, Data: data, Connection: &logical.Connection{RemoteAddr: "127.0.0.1"},
	})
}

// write is `vault write`.
func (v *vault) write(t *testing.T, path string, data map[string]any) {
	t.Helper()
	response, err := v.handle(t.Context(), strings.TrimPrefix(path, "auth/jwt/"), data)
	if err != nil || response != nil && response.IsError() {
		t.Fatalf("vault write %s: %v %v", path, err, response)
	}
}

func (v *vault) alive(token string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tokens[token]
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, text string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + r.URL.Path {
	case "POST /v1/auth/jwt/login":
		var data map[string]any
		if err := json.NewDecoder(r.Body).Decode(&data); err != nil {
			refuse(http.StatusBadRequest, "failed to parse JSON input")
			return
		}
		response, err := v.handle(r.Context(), "login", data)
		switch {
		case err != nil:
			refuse(http.StatusInternalServerError, "internal error")
		case response.IsError():
			refuse(http.StatusBadRequest, response.Error().Error())
		default:
			token := "hvs." + rand.Text()
			v.mu.Lock()
			v.tokens[token] = true
			v.mu.Unlock()
			_ = json.NewEncoder(w).Encode(map[string]any{"auth": map[string]any{
				"client_token": token, "lease_duration": int(response.Auth.TTL.Seconds()), "policies": response.Auth.Policies,
				"metadata": response.Auth.Metadata, "token_type": "service",
			}})
		}
	case "POST /v1/auth/token/revoke-self":
		token := r.Header.Get("X-Vault-Token")
		v.mu.Lock()
		defer v.mu.Unlock()
		if !v.tokens[token] {
			refuse(http.StatusForbidden, "permission denied")
			return
		}
		delete(v.tokens, token)
		w.WriteHeader(http.StatusNoContent)
	default:
		v.read(w, r, refuse)
	}
}

// read is `vault list` and `vault read` of roles and configuration, for a token of this Vault.
func (v *vault) read(w http.ResponseWriter, r *http.Request, refuse func(int, string)) {
	path, found := strings.CutPrefix(r.URL.Path, "/v1/auth/jwt/")
	operation, known := map[string]logical.Operation{"LIST": logical.ListOperation, http.MethodGet: logical.ReadOperation}[r.Method]
	if !found || !known || !v.alive(r.Header.Get("X-Vault-Token")) {
		refuse(http.StatusForbidden, "permission denied")
		return
	}
	response, err := v.backend.HandleRequest(r.Context(), &logical.Request{Operation: operation, Path: path, MountPoint: "auth/jwt/", Storage: v.storage})
	switch {
	case err != nil:
		refuse(http.StatusInternalServerError, "internal error")
	case response == nil:
		refuse(http.StatusNotFound, "")
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"data": response.Data})
	}
}
