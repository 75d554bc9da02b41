package cloud

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func testOthers(t *testing.T) (*Issuer, *Others) {
	t.Helper()
	issuer := testIssuer(t)
	others, err := StartOthers(issuer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(others.Close)
	return issuer, others
}

// A trade is a request that a service grants for a good token.
type trade struct {
	path    string
	fields  map[string]string
	tokenIn string
	form    bool // else JSON
	header  http.Header
	status  int // of a success
}

func trades() map[string]trade {
	exchange := func(tokenType string, more map[string]string) map[string]string {
		fields := map[string]string{"grant_type": grantTokenExchange, "subject_token_type": tokenType}
		maps.Copy(fields, more)
		return fields
	}
	return map[string]trade{
		"vault": {
			path: "/v1/auth/jwt/login", fields: map[string]string{"role": VaultRole}, tokenIn: "jwt",
			header: http.Header{"X-Vault-Request": {"true"}}, status: 200,
		},
		"okta": {
			path: "/v1/teams/acme/workloads/bitbucket/issue_token", fields: map[string]string{"credential_type": "JWT", "role_hint": OktaRole},
			tokenIn: "jwt", status: 200,
		},
		"oauth": {
			path: "/oauth/token", fields: exchange(tokenTypeJWT, map[string]string{"audience": OAuthAudience, "scope": "read write"}), tokenIn: "subject_token",
			form: true, status: 200,
		},
		"jfrog": {
			path: "/access/api/v1/oidc/token", fields: exchange(tokenTypeID, map[string]string{"provider_name": JFrogProvider, "project_key": JFrogProject}),
			tokenIn: "subject_token", status: 200,
		},
		"cloudsmith": {path: "/openid/acme/", fields: map[string]string{"service_slug": CloudsmithService}, tokenIn: "oidc_token", status: 201},
		"databricks": {
			path: "/oidc/v1/token", fields: exchange(tokenTypeJWT, map[string]string{"scope": "all-apis", "client_id": DatabricksClientID}),
			tokenIn: "subject_token", form: true, status: 200,
		},
		"pulumi": {
			path: "/api/oauth/token", tokenIn: "subject_token", form: true, status: 200,
			fields: exchange(tokenTypeID, map[string]string{
				"audience": "urn:pulumi:org:acme", "requested_token_type": "urn:pulumi:token-type:access_token:organization",
			}),
		},
	}
}

// send makes the trade with a server, after an edit of the request.
func (d trade) send(t *testing.T, server *Server, token string, edit func(*http.Request)) (int, string) {
	t.Helper()
	fields := maps.Clone(d.fields)
	if token != "" {
		fields[d.tokenIn] = token
	}
	contentType, body := "application/json", ""
	if d.form {
		form := url.Values{}
		for name, value := range fields {
			form.Set(name, value)
		}
		contentType, body = "application/x-www-form-urlencoded", form.Encode()
	} else {
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		body = string(data)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+d.path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{}
	maps.Copy(r.Header, d.header)
	r.Header.Set("Content-Type", contentType)
	if edit != nil {
		edit(r)
	}
	return do(t, r)
}

// TestOthersRefuse: each service grants the one good request, and none that differs from it in anything.
func TestOthersRefuse(t *testing.T) {
	issuer, others := testOthers(t)
	others.Pulumi.Configure(func(c *ServiceConfig) { c.Audiences = []string{DefaultStep().WorkspaceAudience()} })
	token, forged := stepToken(issuer, nil), forgeries(t, issuer)
	for name, good := range trades() {
		server := others.Servers[name]
		if server.URL == "" { // behind TLS for the program, but not here
			plain, err := Serve(server)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(plain.Close)
			server = plain
		}
		handedOut := len(others.Secrets())
		if status, body := good.send(t, server, token, nil); status != good.status || len(others.Secrets()) != handedOut+1 {
			t.Errorf("%s: %d %s, want %d", name, status, body, good.status)
		}
		refuse := func(what string, d trade, token string, edit func(*http.Request)) {
			t.Helper()
			if status, _ := d.send(t, server, token, edit); status < 400 || status >= 500 {
				t.Errorf("%s: %s: %d, want a refusal", name, what, status)
			}
		}
		for what, token := range forged {
			refuse(what, good, token, nil)
		}
		for what, edit := range map[string]func(map[string]any){
			"issuer":     set("iss", "https://other.example"),
			"audience":   set("aud", "https://other.example"),
			"repository": set("repositoryUuid", "{00000000-0000-0000-0000-000000000000}"),
			"no such":    set("repositoryUuid", nil),
			"expired":    set("exp", ago(time.Second)),
			"future":     set("iat", ago(-time.Hour)),
		} {
			refuse(what, good, stepToken(issuer, edit), nil)
		}
		for what, edit := range map[string]func(*http.Request){
			"method":       func(r *http.Request) { r.Method = http.MethodPut },
			"path":         func(r *http.Request) { r.URL.Path += "x" },
			"query":        func(r *http.Request) { r.URL.RawQuery = "x=y" },
			"bearer":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
			"client":       func(r *http.Request) { r.SetBasicAuth("a", "b") },
			"content type": func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		} {
			refuse(what, good, token, edit)
		}
		refuse("no token", good, "", nil)
		for field := range good.fields {
			if slices.Contains([]string{"role_hint", "audience", "scope", "project_key"}, field) && name != "databricks" && name != "pulumi" {
				continue
			}
			d := good
			d.fields = maps.Clone(good.fields)
			delete(d.fields, field)
			refuse("without "+field, d, token, nil)
		}
		for field := range good.fields {
			d := good
			d.fields = maps.Clone(good.fields)
			d.fields[field] += "x"
			refuse("another "+field, d, token, nil)
		}
		d := good
		d.fields = maps.Clone(good.fields)
		d.fields["unknown"] = "x"
		refuse("an unknown field", d, token, nil)
		if n := len(others.Secrets()); n != handedOut+1 {
			t.Errorf("%s: %d secrets were handed out for one good request", name, n-handedOut)
		}
		for _, r := range server.Requests() {
			if strings.Contains(r.String(), token) {
				t.Errorf("%s: the record holds the token", name)
			}
		}
	}
}

func TestVaultRevokes(t *testing.T) {
	issuer, others := testOthers(t)
	server := others.Servers["vault"]
	_, body := trades()["vault"].send(t, server, stepToken(issuer, nil), nil)
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	revoke := trade{path: "/v1/auth/token/revoke-self", form: true, header: http.Header{"X-Vault-Request": {"true"}, "X-Vault-Token": {answer.Auth.Token}}}
	for i, want := range []int{http.StatusForbidden, http.StatusNoContent, http.StatusForbidden} {
		if status, _ := revoke.send(t, server, "", func(r *http.Request) {
			if i == 0 {
				r.Header.Set("X-Vault-Namespace", "other")
			}
		}); status != want {
			t.Errorf("revocation %d: %d, want %d", i+1, status, want)
		}
	}
	if n := others.Vault.Tokens(); n != 0 {
		t.Errorf("%d tokens are alive", n)
	}
}

func TestGateway(t *testing.T) {
	_, others := testOthers(t)
	proxy, err := url.Parse(others.Gateway.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(others.Gateway.Authority)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	get := func(address string) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	for host, server := range map[string]string{"api.pulumi.com": "pulumi", "api.cloudsmith.io": "cloudsmith"} {
		if err := get("https://" + host + "/"); err != nil || len(others.Servers[server].Requests()) != 1 {
			t.Errorf("%s: %v, %d requests", host, err, len(others.Servers[server].Requests()))
		}
	}
	for _, address := range []string{"https://api.pulumi.com:8443/", "https://example.com/"} {
		if err := get(address); err == nil {
			t.Errorf("%s was reached", address)
		}
	}
}
