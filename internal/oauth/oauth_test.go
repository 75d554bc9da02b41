package oauth

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/oidc/oidctest"
	"bitbucket-oidc/internal/secret"
)

func token(t *testing.T) oidc.Token {
	t.Helper()
	return oidctest.Token(t, `{"iss":"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		"aud":"ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45",
		"sub":"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}","iat":1000,"exp":4600}`)
}

// backend is a service that is asked at a server of one answer.
func backend(t *testing.T, s Service, status int, answer string) (*Backend, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	s.Endpoint = server.URL + "/token"
	return New(s, nil), &requests
}

func endpoint() Service {
	return Endpoint{Grant: TokenExchange, SubjectTokenType: tokenTypeJWT, ClientID: "pipelines", ClientSecret: secret.New("canary")}.Service()
}

func failure(code string) string {
	return fmt.Sprintf(`{"error":%q,"error_description":"canary"}`, code)
}

// TestMeanings has a row for each error of RFC 6749, RFC 8693 and of the servers that were tried, and for the forms of
// errors that the services of the table have.
func TestMeanings(t *testing.T) {
	t.Parallel()
	const identity = "issuer https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc, audience ari:cloud:bitbucket"
	jfrog, cloudsmith := JFrog("https://acme.jfrog.io", "bitbucket", "", nil), Cloudsmith("acme", "pipelines", nil)
	databricks, pulumi := Databricks("https://dbc-1.example", "id"), Pulumi("acme")
	for _, c := range []struct {
		name     string
		service  Service
		status   int
		answer   string
		says     string
		hints    []string
		requests int32
	}{
		{
			name: "grant", service: endpoint(), status: 400, answer: failure("invalid_grant"),
			says:  "invalid_grant: the service does not accept the step's token",
			hints: []string{"issuer and audience", identity}, requests: 1,
		},
		{
			name: "token", service: endpoint(), status: 401, answer: failure("invalid_token"),
			says: "invalid_token: the service does not accept the step's token", hints: []string{identity}, requests: 1,
		},
		{
			name: "target", service: endpoint(), status: 400, answer: failure("invalid_target"), says: "invalid_target",
			hints: []string{"OAUTH_AUDIENCE", "OAUTH_RESOURCE"}, requests: 1,
		},
		{
			name: "client", service: endpoint(), status: 401, answer: failure("invalid_client"), says: "invalid_client",
			hints: []string{"OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET"}, requests: 1,
		},
		{
			name: "unauthorized", service: endpoint(), status: 400, answer: failure("unauthorized_client"),
			says: "unauthorized_client", hints: []string{"OAUTH_GRANT"}, requests: 1,
		},
		{
			name: "grant type", service: endpoint(), status: 400, answer: failure("unsupported_grant_type"),
			says: "unsupported_grant_type", hints: []string{"OAUTH_GRANT"}, requests: 1,
		},
		{
			name: "scope", service: endpoint(), status: 400, answer: failure("invalid_scope"), says: "invalid_scope",
			hints: []string{"OAUTH_SCOPES"}, requests: 1,
		},
		{
			name: "denied", service: endpoint(), status: 401, answer: failure("access_denied"), says: "access_denied",
			hints: []string{"OAUTH_SUBJECT_TOKEN_TYPE must be id_token"}, requests: 1,
		},
		{
			name: "request", service: endpoint(), status: 400, answer: failure("invalid_request"), says: "invalid_request",
			hints: []string{"OAUTH_PARAMETERS"}, requests: 1,
		},
		{
			name: "not supported", service: endpoint(), status: 400, answer: failure("request_not_supported"),
			says: "request_not_supported", hints: []string{"OAUTH_SUBJECT_TOKEN_TYPE"}, requests: 1,
		},
		{
			name: "new", service: endpoint(), status: 400, answer: failure("canary"),
			says: "status 400: the service does not accept", hints: []string{identity}, requests: 1,
		},
		{
			name: "object", service: endpoint(), status: 403, answer: `{"error":{"code":"canary"}}`,
			says: "status 403: the service does not accept", hints: []string{identity}, requests: 1,
		},
		{
			name: "HTML", service: endpoint(), status: 404, answer: "<html>canary</html>", says: "status 404",
			hints: []string{"OAUTH_TOKEN_URL"}, requests: 1,
		},
		{
			name: "slow down", service: endpoint(), status: 429, answer: failure("slow_down canary"), says: "status 429",
			hints: []string{"TIMEOUT"}, requests: 5,
		},
		{
			name: "down", service: endpoint(), status: 503, answer: failure("temporarily_unavailable"), says: "status 503",
			hints: []string{"TIMEOUT"}, requests: 5,
		},

		{
			name: "JFrog", service: jfrog, status: 401, answer: `{"errors":[{"code":"UNAUTHORIZED","message":"canary"}]}`,
			says: "status 401", hints: []string{"identity mapping", "JFROG_OIDC_PROVIDER", identity}, requests: 1,
		},
		{
			name: "JFrog's address", service: jfrog, status: 404, answer: `canary`, says: "status 404",
			hints: []string{"JFROG_URL"}, requests: 1,
		},
		{
			name: "Cloudsmith", service: cloudsmith, status: 422, answer: `{"detail":"canary"}`, says: "status 422",
			hints: []string{"CLOUDSMITH_SERVICE", identity}, requests: 1,
		},
		{
			name: "Cloudsmith's name", service: cloudsmith, status: 404, answer: `{"detail":"canary"}`, says: "status 404",
			hints: []string{"CLOUDSMITH_ORG"}, requests: 1,
		},
		{
			name: "Databricks", service: databricks, status: 400, answer: failure("invalid_grant"), says: "invalid_grant",
			hints: []string{"subject_claim repositoryUuid", identity}, requests: 1,
		},
		{
			name: "Databricks' client", service: databricks, status: 401, answer: failure("invalid_client"),
			says: "invalid_client", hints: []string{"service principal"}, requests: 1,
		},
		{
			name: "Pulumi", service: pulumi, status: 401, answer: `{"code":401,"message":"canary"}`, says: "status 401",
			hints: []string{"urn:pulumi:org:acme", identity}, requests: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, c.service, c.status, c.answer)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, b.Name()+" default: exchanging the token at 127.0.0.1:", c.says, c.hints...)
			if hints := strings.Join(hint.All(err), "\n"); b.Name() != Generic && strings.Contains(hints, "OAUTH_") {
				t.Errorf("a hint is about another backend:\n%s", hints)
			}
			if requests.Load() != c.requests {
				t.Errorf("%d requests, want %d", requests.Load(), c.requests)
			}
		})
	}
}

// TestQuery: a token endpoint may have a query, which is kept (RFC 6749, section 3.2), and which no error repeats.
func TestQuery(t *testing.T) {
	t.Parallel()
	var query atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query.Store(r.URL.RawQuery)
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	s := endpoint()
	s.Endpoint = server.URL + "/token?key=canary"
	_, err := New(s, nil).Exchange(t.Context(), token(t))
	hinttest.Check(t, err, "oauth default: ", "status 400")
	server.Close()
	_, err = New(s, nil).Exchange(t.Context(), token(t))
	hinttest.Check(t, err, "oauth default: ", "connection refused")
	if query.Load() != "key=canary" {
		t.Errorf("query %q", query.Load())
	}
}

func TestUnusableAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"HTML":                 "<html>canary</html>",
		"nothing":              "",
		"a list":               "[]",
		"null":                 "null",
		"half of it":           `{"access_token":"canary"`,
		"an error":             failure("invalid_grant"), // with the status of a success
		"no token":             `{"expires_in":3600,"id_token":"canary"}`,
		"an empty token":       `{"access_token":""}`,
		"a token of two lines": `{"access_token":"canary\ncanary"}`,
		"a token with a blank": `{"access_token":"canary canary"}`,
		"another type":         `{"access_token":"canary","token_type":"DPoP"}`,
		"no type that is text": `{"access_token":"canary","token_type":["Bearer"]}`,
		"a negative lifetime":  `{"access_token":"canary","expires_in":-3600}`,
		"eleven years":         `{"access_token":"canary","expires_in":347000000}`,
		"a lifetime of 400":    `{"access_token":"canary","expires_in":1e400}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, endpoint(), 200, answer)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, b.Name()+" default: ", "", "OAUTH_TOKEN_URL")
			if requests.Load() != 1 {
				t.Errorf("%d requests, want 1", requests.Load())
			}
		})
	}
}

// TestExpires: the answer says for how long; else its token may say until when; else nobody does.
func TestExpires(t *testing.T) {
	t.Parallel()
	own := oidctest.JWT(`{"iss":"https://issuer.example","aud":"a","sub":"s","exp":1900000000}`)
	for answer, want := range map[string]time.Time{
		`{"access_token":"opaque","expires_in":900}`:      time.Now().Add(15 * time.Minute),
		`{"access_token":"opaque","expires_in":"900"}`:    time.Now().Add(15 * time.Minute),
		`{"access_token":"` + own + `","expires_in":900}`: time.Now().Add(15 * time.Minute),
		`{"access_token":"` + own + `"}`:                  time.Unix(1900000000, 0),
		`{"access_token":"opaque"}`:                       {},
	} {
		b, _ := backend(t, endpoint(), 200, answer)
		got, err := b.Exchange(t.Context(), token(t))
		if err != nil {
			t.Fatal(err)
		}
		if d := got.Credentials[0].Expires.Sub(want); d.Abs() > 5*time.Second {
			t.Errorf("%s expires at %v, want %v", answer, got.Credentials[0].Expires, want)
		}
	}
}

// TestRequests holds each service to the form of its own client or documentation.
func TestRequests(t *testing.T) {
	t.Parallel()
	const exchange, types = "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:token-type:"
	step := token(t)
	for _, c := range []struct {
		service  Service
		endpoint string
		want     map[string]string
	}{
		{Endpoint{
			URL: "https://idp.example/token", Grant: TokenExchange, Audience: "a", Resource: "r", Scopes: []string{"x", "y"}, SubjectTokenType: types + "jwt",
			RequestedTokenType: types + "access_token", Parameters: []Parameter{{"connector_id", "bitbucket"}},
		}.Service(), "https://idp.example/token", map[string]string{
			"grant_type": exchange, "subject_token": "TOKEN", "subject_token_type": types + "jwt", "requested_token_type": types + "access_token",
			"audience": "a", "resource": "r", "scope": "x y", "connector_id": "bitbucket",
		}},
		{
			Endpoint{URL: "https://idp.example/token", Grant: JWTBearer, SubjectTokenType: types + "jwt"}.Service(), "https://idp.example/token",
			map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "TOKEN"},
		},
		{JFrog("https://acme.jfrog.io", "bitbucket", "shop", nil), "https://acme.jfrog.io/access/api/v1/oidc/token", map[string]string{
			"grant_type": exchange, "subject_token": "TOKEN", "subject_token_type": types + "id_token", "provider_name": "bitbucket", "project_key": "shop",
		}},
		{JFrog("https://acme.jfrog.io", "bitbucket", "", nil), "https://acme.jfrog.io/access/api/v1/oidc/token", map[string]string{
			"grant_type": exchange, "subject_token": "TOKEN", "subject_token_type": types + "id_token", "provider_name": "bitbucket",
		}},
		{Cloudsmith("acme", "pipelines", nil), "https://api.cloudsmith.io/openid/acme/", map[string]string{"oidc_token": "TOKEN", "service_slug": "pipelines"}},
		{Databricks("https://dbc-1.example", "id"), "https://dbc-1.example/oidc/v1/token", map[string]string{
			"grant_type": exchange, "subject_token": "TOKEN", "subject_token_type": types + "jwt", "scope": "all-apis", "client_id": "id",
		}},
		{Pulumi("acme"), "https://api.pulumi.com/api/oauth/token", map[string]string{
			"grant_type": exchange, "subject_token": "TOKEN", "subject_token_type": types + "id_token", "audience": "urn:pulumi:org:acme",
			"requested_token_type": "urn:pulumi:token-type:access_token:organization",
		}},
	} {
		r := New(c.service, nil).request(step)
		if r.URL != c.endpoint {
			t.Errorf("%s: %s, want %s", c.service.Name, r.URL, c.endpoint)
		}
		got := map[string]string{}
		if c.service.JSON {
			body, _ := json.Marshal(r.JSON)
			if err := json.Unmarshal(body, &got); err != nil || r.Form != nil {
				t.Errorf("%s: %v, form %v", c.service.Name, err, r.Form)
			}
		} else {
			form, err := url.ParseQuery(r.Form.Encode())
			if err != nil || r.JSON != nil {
				t.Errorf("%s: %v, JSON %v", c.service.Name, err, r.JSON)
			}
			for name, values := range form {
				got[name] = strings.Join(values, ",")
			}
		}
		for name, value := range got {
			got[name] = strings.ReplaceAll(value, step.Reveal(), "TOKEN")
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s sends %v, want %v", c.service.Name, got, c.want)
		}
	}
}

func TestTokenType(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"jwt":                             tokenTypeJWT,
		"id_token":                        tokenTypeID,
		"access_token":                    "urn:ietf:params:oauth:token-type:access_token",
		"urn:acme:bitbucket-oidc":         "urn:acme:bitbucket-oidc",
		"https://acme.example/token":      "https://acme.example/token",
		"":                                "",
		"JWT":                             "",
		"saml2":                           "",
		"urn:a b":                         "",
		"://":                             "",
		"urn:é":                           "",
		"urn:" + strings.Repeat("x", 500): "",
	} {
		got, err := TokenType(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("TokenType(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestPrincipalHoldsNoQuery: who the step becomes is printed, and the query of an endpoint can hold a secret.
func TestPrincipalHoldsNoQuery(t *testing.T) {
	for url, want := range map[string]string{
		"https://host.example.com/a%2Fb?api_key=hunter2": "https://host.example.com/a%2Fb",
		"https://host.example.com:8443/?x":               "https://host.example.com:8443/",
		"https://host.example.com?x":                     "https://host.example.com",
	} {
		if got := (Endpoint{URL: url}).Service().Principal; got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

// TestRegistries: the token is Docker's password, for the user name that the service answers or that is fixed. Where no registry is
// asked for, nobody looks at the name.
func TestRegistries(t *testing.T) {
	t.Parallel()
	hosts := []string{"acme.jfrog.io", "docker.acme.example:8443"}
	for _, c := range []struct {
		name, answer string
		hosts        []string
		user         string // empty for an answer that cannot be used
	}{
		{"a name", `{"access_token":"opaque","username":"bitbucket"}`, hosts, "bitbucket"},
		{"a name with a sign", `{"access_token":"opaque","username":"token/ci@acme"}`, hosts, "token/ci@acme"},
		{"no name", `{"access_token":"opaque"}`, hosts, ""},
		{"an empty name", `{"access_token":"opaque","username":""}`, hosts, ""},
		{"a colon", `{"access_token":"opaque","username":"a:b"}`, hosts, ""},
		{"a line break", `{"access_token":"opaque","username":"a\nb"}`, hosts, ""},
		{"a sign that nobody sees", `{"access_token":"opaque","username":"a\u200bb"}`, hosts, ""},
		{"no text", `{"access_token":"opaque","username":["a"]}`, hosts, ""},
		{"no registry", `{"access_token":"opaque","username":"a:b"}`, nil, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, _ := backend(t, JFrog("https://acme.jfrog.io", "bitbucket", "", c.hosts), 200, c.answer)
			got, err := b.Exchange(t.Context(), token(t))
			if c.user == "" {
				hinttest.Check(t, err, "jfrog default: ", "no username that Docker can log in with", "JFROG_URL")
				return
			}
			if err != nil || len(got.Registries) != len(c.hosts) || len(got.Credentials) != 1+len(c.hosts) {
				t.Fatalf("%v: %d registries, %d credentials", err, len(got.Registries), len(got.Credentials))
			}
			for i, r := range got.Registries {
				if r.Host != c.hosts[i] || r.Username != c.user || r.Password.Reveal() != "opaque" || got.Credentials[1+i].Name != r.Host {
					t.Errorf("registry %s as %s", r.Host, r.Username)
				}
			}
		})
	}
	b, _ := backend(t, Cloudsmith("acme", "pipelines", hosts[:1]), 200, `{"token":"opaque"}`)
	if got, err := b.Exchange(t.Context(), token(t)); err != nil || len(got.Registries) != 1 || got.Registries[0].Username != "token" {
		t.Errorf("Cloudsmith: %v", err)
	}
}
