// Package vault trades a step's token for a token of HashiCorp Vault or OpenBao with their JWT authentication, and revokes
// it again.
package vault

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/wire"
)

// Config names the server and the role.
type Config struct {
	Addr      string // base URL
	Role      string
	Mount     string // of the JWT authentication, without auth/
	Namespace string // or empty

	// RootCAs are the authorities to trust; nil means the system's. CACert is their file, for later commands.
	RootCAs *x509.CertPool
	CACert  string

	// Trace, if not nil, is called after each attempt of a request.
	Trace func(line string)
}

// Backend is Vault.
type Backend struct {
	Config
	client *http.Client
}

var (
	_ federation.Backend = (*Backend)(nil)
	_ federation.Revoker = (*Backend)(nil)
)

// New prepares the exchange; it sends nothing.
func New(c Config) *Backend {
	return &Backend{c, transport.New(transport.Config{RootCAs: c.RootCAs, Trace: c.Trace})}
}

// Name implements [federation.Backend].
func (b *Backend) Name() string { return "vault" }

const (
	name      = "default"
	tokenFile = "vault/token"
)

// header asks for the namespace; X-Vault-Request keeps Vault Agent from refusing what browsers could send.
func (b *Backend) header() http.Header {
	h := http.Header{"X-Vault-Request": {"true"}}
	if b.Namespace != "" {
		h.Set("X-Vault-Namespace", b.Namespace)
	}
	return h
}

// login is the request of auth/MOUNT/login (Vault API, "JWT login").
type login struct {
	Role string `json:"role"`
	JWT  string `json:"jwt"`
}

// Targets implements [federation.Backend].
func (b *Backend) Targets() []federation.Target {
	resource := b.Addr + "/v1/" + b.path()
	if b.Namespace != "" {
		resource += "?namespace=" + b.Namespace
	}
	return []federation.Target{{Backend: b.Name(), Name: name, Identity: b.path(), Resource: resource, Endpoint: wire.Host(b.Addr)}}
}

// Exchange implements [federation.Backend].
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) (federation.Grant, error) {
	grant := federation.Grant{Backend: b.Name()}
	way := federation.Begin(b.Targets()[0])
	credential, got, call, err := b.logIn(ctx, token)
	way.Called(call)
	grant.Outcomes = []federation.Outcome{way.End(err)}
	if err != nil {
		return grant, fmt.Errorf("vault %s: %w", name, err)
	}
	grant.Credentials = []federation.Credential{credential}
	grant.Files, grant.Env = []federation.File{{Path: tokenFile, Data: got}}, b.env()
	return grant, nil
}

func (b *Backend) logIn(ctx context.Context, token oidc.Token) (federation.Credential, secret.Text, federation.Call, error) {
	call := federation.Call{Operation: "login"}
	doing := "logging in as " + b.path()
	fail := func(err error) (federation.Credential, secret.Text, federation.Call, error) {
		return federation.Credential{}, secret.Text{}, call, err
	}
	answer, err := wire.Post(ctx, b.client, doing, wire.Request{
		URL: b.Addr + "/v1/auth/" + escaped(b.Mount) + "/login", Header: b.header(), JSON: login{b.Role, token.Reveal()},
	})
	if err != nil {
		return fail(err)
	}
	call.RequestID = answer.RequestID("request_id")
	if !answer.OK() {
		return fail(answer.Refusal(request{b, token.Claims.Pasteable()}.explain(doing, answer)))
	}
	got, ok := answer.Token("auth.client_token")
	if !ok {
		return fail(wire.Unusable(doing, "no auth.client_token", "VAULT_ADDR"))
	}
	expires, ok := answer.Lifetime("auth.lease_duration")
	if !ok {
		return fail(wire.Unusable(doing, "a lifetime that no token has", "VAULT_ADDR"))
	}
	call.Principal, call.Expires = b.path(), expires
	call.CredentialID = secret.New(answer.RequestID("auth.accessor"))
	return federation.Credential{
		Name: name, Principal: call.Principal, Expires: call.Expires, Lengthen: "raise token_ttl of the role", Files: []string{tokenFile},
	}, got, call, nil
}

// Revoke implements [federation.Revoker].
func (b *Backend) Revoke(ctx context.Context, read func(file string) (secret.Text, error)) error {
	const doing = "vault " + name + ": revoking the token"
	token, err := read(tokenFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return federation.ErrNotRevoked
	case err != nil:
		return fmt.Errorf("%s: %w", doing, err)
	}
	header := b.header()
	header.Set("X-Vault-Token", token.Reveal())
	answer, err := wire.Post(ctx, b.client, doing, wire.Request{URL: b.Addr + "/v1/auth/token/revoke-self", Header: header})
	var said struct {
		Errors []string `json:"errors"`
	}
	text := ""
	if err == nil && answer.Into(&said) {
		text = strings.Join(said.Errors, "\n")
	}
	switch {
	case err != nil:
		return err
	// A successful answer has no body, or one with warnings that is Vault's. Any other body may come from another server.
	case answer.OK() && (answer.Empty() || answer.Value("request_id") != ""):
		return nil
	case answer.OK():
		return wire.Unusable(doing, "no request_id", "VAULT_ADDR")
	case strings.Contains(text, "invalid token"), // it is no token any more
		strings.Contains(text, "batch tokens"): // nothing revokes them
		return federation.ErrNotRevoked
	case answer.Status == http.StatusForbidden:
		return hint.New(doing+": the token may not revoke itself", "attach Vault's policy 'default' to the role; without it the token stays valid until it expires")
	}
	return wire.Refused(doing, answer, "VAULT_ADDR")
}

func (b *Backend) path() string { return "auth/" + b.Mount + "/role/" + b.Role }

// escaped escapes a mount and leaves its slashes.
func escaped(mount string) string { return (&url.URL{Path: mount}).EscapedPath() }

func (b *Backend) env() []federation.Var {
	vars := []federation.Var{
		{Name: "VAULT_ADDR", Value: b.Addr},
		{Name: "VAULT_TOKEN", Contents: tokenFile},
	}
	// A VAULT_NAMESPACE of the step would be sent with a token of another namespace. The two addresses take precedence over VAULT_ADDR
	// in Vault's clients (hashicorp/vault, api/client.go).
	vars = append(vars,
		federation.Var{Name: "VAULT_NAMESPACE", Value: b.Namespace, Unset: b.Namespace == ""},
		federation.Var{Name: "VAULT_AGENT_ADDR", Unset: true}, federation.Var{Name: "VAULT_PROXY_ADDR", Unset: true})
	if b.CACert != "" {
		vars = append(vars, federation.Var{Name: "VAULT_CACERT", Value: b.CACert})
	}
	return vars
}
