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
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/wire"
)

// Config names the server and the role.
type Config struct {
	Addr      string // base URL
	Role      string
	Mount     string // of the JWT authentication, without auth/
	Namespace string // or empty

	// RootCAs are the authorities to trust; nil means the system's. CACert is the file that they are from, for later
	// commands.
	RootCAs *x509.CertPool
	CACert  string

	// Trace, if not nil, is told of each attempt of a request.
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

// Exchange implements [federation.Backend].
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) ([]federation.Credentials, error) {
	doing := "logging in as " + b.path()
	answer, err := wire.Post(ctx, b.client, doing, wire.Request{
		URL: b.Addr + "/v1/auth/" + escaped(b.Mount) + "/login", Header: b.header(), JSON: login{b.Role, token.Reveal()},
	})
	if err == nil && !answer.OK() {
		err = b.refusal(doing, answer, token.Claims)
	}
	if err != nil {
		return nil, fmt.Errorf("vault %s: %w", name, err)
	}
	got, ok := answer.Token("auth.client_token")
	if !ok {
		return nil, fmt.Errorf("vault %s: %w", name, wire.Unusable(doing, "no auth.client_token", "VAULT_ADDR"))
	}
	return []federation.Credentials{{
		Name: name, Principal: b.path(), Expires: answer.Lifetime("auth.lease_duration"),
		Lengthen: "raise token_ttl of the role",
		Files:    []federation.File{{Path: tokenFile, Data: got}},
		Env:      b.env(),
	}}, nil
}

// Revoke implements [federation.Revoker].
func (b *Backend) Revoke(ctx context.Context, read func(file string) (secret.Text, error)) error {
	const doing = "vault " + name + ": revoking the token"
	token, err := read(tokenFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // nothing to revoke
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
	// A success has no body, or, with warnings, Vault's own. Anything else may come from something that is no Vault.
	case answer.OK() && (answer.Empty() || answer.Value("request_id") != ""):
		return nil
	case answer.OK():
		return wire.Unusable(doing, "no request_id", "VAULT_ADDR")
	case strings.Contains(text, "invalid token"): // it is no token any more
		return nil
	case strings.Contains(text, "batch tokens"): // nothing revokes them; they end by themselves
		return nil
	case answer.Status == http.StatusForbidden:
		return hint.New(doing+": the token may not revoke itself", "give the role the policy default, which allows it; until then the token ends by itself")
	}
	return wire.Refused(doing, answer, "VAULT_ADDR")
}

func (b *Backend) path() string { return "auth/" + b.Mount + "/role/" + b.Role }

// escaped escapes a mount, whose slashes stay.
func escaped(mount string) string { return (&url.URL{Path: mount}).EscapedPath() }

func (b *Backend) env() []federation.Var {
	vars := []federation.Var{
		{Name: "VAULT_ADDR", Value: b.Addr},
		{Name: "VAULT_TOKEN", Contents: tokenFile},
	}
	if b.Namespace != "" {
		vars = append(vars, federation.Var{Name: "VAULT_NAMESPACE", Value: b.Namespace})
	}
	if b.CACert != "" {
		vars = append(vars, federation.Var{Name: "VAULT_CACERT", Value: b.CACert})
	}
	return vars
}

// A meaning is what Vault's text stands for; there are no codes. Source: hashicorp/vault-plugin-auth-jwt, path_login.go.
type meaning struct {
	text string
	says string
	do   func(*Backend, oidc.Claims) string
}

func meanings() []meaning {
	return []meaning{
		{"could not be found", "the role does not exist", func(b *Backend, _ oidc.Claims) string {
			return "correct VAULT_ROLE and VAULT_AUTH_MOUNT; see the roles: vault list " + trust.ShellWord("auth/"+b.Mount+"/role")
		}},
		{"invalid audience (aud) claim", "the role does not bind the token's audience", func(b *Backend, c oidc.Claims) string {
			return fmt.Sprintf("the token's audience is %s; add it to the role's own%s", strings.Join(c.Audience, " and "), b.write("bound_audiences="+trust.ShellWord(c.Audience[0])+",…"))
		}},
		{"audience claim found in JWT but no audiences bound", "the role binds no audience", func(b *Backend, c oidc.Claims) string {
			return fmt.Sprintf("the token's audience is %s; bind it%s", strings.Join(c.Audience, " and "), b.write("bound_audiences="+trust.ShellWord(c.Audience[0])))
		}},
		{"invalid subject (sub) claim", "the role binds another subject", func(*Backend, oidc.Claims) string {
			return "the subject is another one in every step: bind repositoryUuid with bound_claims in place of bound_subject"
		}},
		{"invalid issuer (iss) claim", "the mount trusts another issuer", func(b *Backend, c oidc.Claims) string {
			issuer := trust.ShellWord(c.Issuer)
			return fmt.Sprintf("set the mount's issuer: vault write %s oidc_discovery_url=%s bound_issuer=%s", trust.ShellWord("auth/"+b.Mount+"/config"), issuer, issuer)
		}},
		{"is expired", "the token has expired", nil},
		{"not found in token", "the token lacks the role's user_claim", func(b *Backend, _ oidc.Claims) string {
			return "take one that every step has" + b.write("user_claim=repositoryUuid")
		}},
		{"oidc role_type is not allowed", "the role is for sign-in with a browser", func(b *Backend, _ oidc.Claims) string {
			return "make it one for tokens, or name another in VAULT_ROLE" + b.write()
		}},
		{"permission denied", "Vault refuses the login", func(b *Backend, _ oidc.Claims) string {
			return "the mount may not exist in this namespace: look at VAULT_AUTH_MOUNT and VAULT_NAMESPACE"
		}},
		{"", "Vault does not accept the token", func(b *Backend, c oidc.Claims) string {
			return fmt.Sprintf("the mount must trust the issuer %s; see what the role wants: %s", c.Issuer, b.read())
		}},
	}
}

// read shows the role on the command line of vault.
func (b *Backend) read() string { return "vault read " + trust.ShellWord(b.path()) }

// write ends a sentence with the change of the role on the command line of vault. Without its type a role becomes one for
// browsers, and one that compares with patterns forgets that. Source: hashicorp/vault-plugin-auth-jwt, path_role.go.
func (b *Backend) write(fields ...string) string {
	return ", with bound_claims_type=glob as well if the role has that: vault write " +
		strings.Join(append([]string{trust.ShellWord(b.path()), "role_type=jwt"}, fields...), " ")
}

// refusal words an error. Of what Vault wrote only the name of a claim that the token has goes into it.
func (b *Backend) refusal(doing string, a wire.Answer, c oidc.Claims) error {
	var answer struct {
		Errors []string `json:"errors"`
	}
	if a.Status >= 500 || a.Status == http.StatusTooManyRequests || !a.Into(&answer) || len(answer.Errors) == 0 {
		return wire.Refused(doing, a, "VAULT_ADDR")
	}
	text := strings.Join(answer.Errors, "\n")
	if name, value, ok := boundClaim(text, c); ok {
		return hint.New(fmt.Sprintf("%s: the role binds another %s than the token's", doing, name),
			fmt.Sprintf("the token's %s is %s; the role's is in bound_claims of: %s", name, value, b.read()),
			"UUIDs keep their braces in bound_claims; a pattern needs bound_claims_type=glob")
	}
	for _, m := range meanings() {
		if !strings.Contains(text, m.text) {
			continue
		}
		if m.do == nil {
			return hint.New(doing+": "+m.says, c.Age(time.Now()))
		}
		return hint.New(doing+": "+m.says, m.do(b, c), c.Identity())
	}
	return wire.Refused(doing, a, "VAULT_ADDR")
}

// boundClaim finds the claim that Vault says does not match, if it is one of a step's token.
func boundClaim(text string, c oidc.Claims) (name, value string, ok bool) {
	for name, value := range map[string]string{
		"repositoryUuid": c.Repository(), "workspaceUuid": c.WorkspaceUUID, "pipelineUuid": c.PipelineUUID, "stepUuid": c.StepUUID,
		"deploymentEnvironmentUuid": c.Environment(), "branchName": c.BranchName,
	} {
		if strings.Contains(text, "claim \""+name+"\" ") && !strings.Contains(text, "not found in token") {
			if value == "" {
				value = "missing"
			}
			return name, value, true
		}
	}
	return "", "", false
}
