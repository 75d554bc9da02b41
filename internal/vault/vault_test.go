package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/oidc/oidctest"
	"bitbucket-oidc/internal/secret"
)

const (
	granted    = `{"auth":{"client_token":"hvs.granted","lease_duration":900,"renewable":true}}`
	repository = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
)

func token(t *testing.T) oidc.Token {
	t.Helper()
	return oidctest.Token(t, `{
		"iss":"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		"aud":"ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45",
		"sub":"`+repository+`:{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}","repositoryUuid":"`+repository+`","branchName":"main",
		"iat":1000,"exp":4600}`)
}

// backend talks to a server that gives one answer.
func backend(t *testing.T, status int, answer string) (*Backend, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return New(Config{Addr: server.URL, Role: "deploy", Mount: "ci/jwt"}), &requests
}

func failure(texts ...string) string {
	body, _ := json.Marshal(map[string]any{"errors": texts})
	return string(body)
}

// TestMeanings has a row for each error of vault-plugin-auth-jwt's path_login.go and claims.go that a step can meet.
func TestMeanings(t *testing.T) {
	t.Parallel()
	const (
		audience = "bound_audiences=ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"
		write    = "vault write auth/ci/jwt/role/deploy role_type=jwt"
		read     = "vault read auth/ci/jwt/role/deploy"
	)
	for _, c := range []struct {
		name     string
		status   int
		answer   string
		says     string
		hints    []string
		requests int32
	}{
		{
			name: "role", status: 400, answer: failure(`role "canary" could not be found`), says: "the role does not exist",
			hints: []string{"VAULT_ROLE", "vault list auth/ci/jwt/role"}, requests: 1,
		},
		{
			name: "role type", status: 400, answer: failure("role with oidc role_type is not allowed"),
			says: "sign-in with a browser", hints: []string{write}, requests: 1,
		},
		{
			name: "audience", status: 400,
			answer: failure(
				"error validating token: invalid audience (aud) claim: audience claim does not match any expected audience",
			),
			says:  "does not bind the token's audience",
			hints: []string{write + " " + audience, "the token says: issuer https://api.bitbucket.org"}, requests: 1,
		},
		{
			name: "no audience", status: 400, answer: failure("audience claim found in JWT but no audiences bound to the role"),
			says: "binds no audience", hints: []string{write + " " + audience}, requests: 1,
		},
		{
			name: "subject", status: 400, answer: failure("error validating token: invalid subject (sub) claim"),
			says: "another subject", hints: []string{"repositoryUuid with bound_claims"}, requests: 1,
		},
		{
			name: "issuer", status: 400, answer: failure("error validating token: invalid issuer (iss) claim"),
			says:     "another issuer",
			hints:    []string{"vault write auth/ci/jwt/config oidc_discovery_url=https://api.bitbucket.org/2.0/workspaces/acme/"},
			requests: 1,
		},
		{
			name: "expired", status: 400,
			answer: failure("error validating token: invalid expiration time (exp) claim: token is expired"),
			says:   "the token has expired", hints: []string{"expired at 1970-01-01T01:16:40Z"}, requests: 1,
		},
		{
			name: "repository", status: 400,
			answer: failure(`error validating claims: claim "repositoryUuid" does not match any associated bound claim values`),
			says:   "the role binds another repositoryUuid than the token's",
			hints:  []string{"the token's repositoryUuid is " + repository, read, "braces"}, requests: 1,
		},
		{
			name: "branch", status: 400,
			answer: failure(`error validating claims: claim "branchName" does not match any associated bound claim values`),
			says:   "another branchName", hints: []string{"branchName is main"}, requests: 1,
		},
		{
			name: "environment", status: 400,
			answer: failure(`error validating claims: claim "deploymentEnvironmentUuid" is missing`),
			says:   "another deploymentEnvironmentUuid", hints: []string{"deploymentEnvironmentUuid is missing"}, requests: 1,
		},
		{
			name: "claim of somebody else", status: 400, answer: failure(`error validating claims: claim "canary" is missing`),
			says: "does not accept the token", hints: []string{read}, requests: 1,
		},
		{
			name: "user claim", status: 400, answer: failure(`claim "branchName" not found in token`),
			says: "lacks the role's user_claim", hints: []string{write + " user_claim=repositoryUuid"}, requests: 1,
		},
		{
			name: "signature", status: 400, answer: failure("error validating token: error verifying token signature: canary"),
			says: "does not accept the token", hints: []string{"must trust the issuer https://api.bitbucket.org", read},
			requests: 1,
		},
		{
			name: "several", status: 400, answer: failure("canary", `role "x" could not be found`),
			says: "the role does not exist", hints: []string{"VAULT_ROLE"}, requests: 1,
		},
		{
			name: "mount", status: 403, answer: failure("permission denied"), says: "refuses the login",
			hints: []string{"VAULT_AUTH_MOUNT and VAULT_NAMESPACE"}, requests: 1,
		},
		{
			name: "agent", status: 412, answer: failure("canary"), says: "does not accept the token", hints: []string{read},
			requests: 1,
		},
		{
			name: "no errors", status: 400, answer: `{"errors":[]}`, says: "status 400", hints: []string{"VAULT_ADDR"},
			requests: 1,
		},
		{
			name: "other errors", status: 400, answer: `{"errors":"canary"}`, says: "status 400", hints: []string{"VAULT_ADDR"},
			requests: 1,
		},
		{
			name: "HTML", status: 404, answer: "<html>canary</html>", says: "status 404", hints: []string{"VAULT_ADDR"},
			requests: 1,
		},
		{name: "standby", status: 472, says: "status 472", hints: []string{"VAULT_ADDR"}, requests: 1},
		{
			name: "sealed", status: 503, answer: failure("Vault is sealed canary"), says: "status 503",
			hints: []string{"TIMEOUT"}, requests: 5,
		},
		{
			name: "quota", status: 429, answer: failure("request path: rate limit quota exceeded canary"), says: "status 429",
			hints: []string{"TIMEOUT"}, requests: 5,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, c.status, c.answer)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, "vault default: logging in as auth/ci/jwt/role/deploy: ", c.says, c.hints...)
			if requests.Load() != c.requests {
				t.Errorf("%d requests, want %d", requests.Load(), c.requests)
			}
		})
	}
}

func TestUnusableAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"HTML":                 "<html>canary</html>",
		"nothing":              "",
		"a list":               "[]",
		"null":                 "null",
		"half of it":           granted[:30],
		"no auth":              `{"data":{"client_token":"canary"}}`,
		"no token":             `{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"canary"}}}`,
		"a token of two lines": `{"auth":{"client_token":"canary\ncanary"}}`,
		"a token in a list":    `{"auth":{"client_token":["canary"]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, 200, answer)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, "vault default: ", "")
			if requests.Load() != 1 {
				t.Errorf("%d requests, want 1", requests.Load())
			}
		})
	}
}

func TestExchange(t *testing.T) {
	t.Parallel()
	b, _ := backend(t, 200, granted)
	b.Namespace, b.CACert = "teams/shop", "/build/ca.pem"
	got, err := b.Exchange(t.Context(), token(t))
	if err != nil {
		t.Fatal(err)
	}
	c := got.Credentials[0]
	if left := time.Until(c.Expires); len(got.Credentials) != 1 || left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("%d credentials, %v left", len(got.Credentials), left)
	}
	if c.Principal != "auth/ci/jwt/role/deploy" || fmt.Sprint(c.Files) != "[vault/token]" || got.Files[0].Data.Reveal() != "hvs.granted" {
		t.Errorf("credentials %v", c)
	}
	want := fmt.Sprintf(
		"[{VAULT_ADDR %s  false []  } {VAULT_TOKEN   false [] vault/token } {VAULT_NAMESPACE teams/shop  false []  } "+
			"{VAULT_AGENT_ADDR   true []  } {VAULT_PROXY_ADDR   true []  } {VAULT_CACERT /build/ca.pem  false []  }]",
		b.Addr,
	)
	if env := fmt.Sprint(got.Env); env != want {
		t.Errorf("env %s, want %s", env, want)
	}
	if text := fmt.Sprintf("%v %+v", got, b); strings.Contains(text, "hvs.") {
		t.Error("the token can be printed")
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		status   int
		body     string
		says     string // empty for success, nothing where there is nothing to revoke
		requests int32
	}{
		{"a batch token", 400, failure("batch tokens cannot be revoked"), "nothing", 1},
		{"done", 204, "", "", 1},
		{"done, without a word", 200, "", "", 1},
		{"done, with warnings", 200, `{"request_id": "6e0b", "warnings": ["canary"]}`, "", 1},
		{"not Vault", 200, "<title>canary</title>", "cannot be used", 1},
		{"no token any more", 403, failure("2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"), "nothing", 1},
		{"not allowed to", 403, failure("1 error occurred:\n\t* permission denied\n\n"), "the token may not revoke itself", 1},
		{"refused", 400, failure("canary"), "status 400", 1},
		{"not there", 404, failure("canary"), "status 404", 1},
		{"sealed", 503, failure("canary"), "status 503", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, c.status, c.body)
			err := b.Revoke(t.Context(), func(file string) (secret.Text, error) {
				if file != "vault/token" {
					return secret.Text{}, errors.New("no such file")
				}
				return secret.New("hvs.canary"), nil
			})
			if c.says == "nothing" {
				if !errors.Is(err, federation.ErrNotRevoked) {
					t.Errorf("%v, want %v", err, federation.ErrNotRevoked)
				}
			} else if c.says != "" {
				hinttest.Check(t, err, "vault default: revoking the token: ", c.says)
			} else if err != nil {
				t.Error(err)
			}
			if requests.Load() != c.requests {
				t.Errorf("%d requests, want %d", requests.Load(), c.requests)
			}
		})
	}
	b, requests := backend(t, 204, "")
	for _, c := range []struct{ read, want error }{{fs.ErrNotExist, federation.ErrNotRevoked}, {io.ErrUnexpectedEOF, io.ErrUnexpectedEOF}} {
		err := b.Revoke(t.Context(), func(string) (secret.Text, error) { return secret.Text{}, c.read })
		if !errors.Is(err, c.want) || requests.Load() != 0 {
			t.Errorf("the file cannot be read, %v: %v, %d requests", c.read, err, requests.Load())
		}
	}
}
