// Package okta trades a step's token for an Okta Privileged Access token at a workload connection. It is the exchange that
// Okta's own SDK makes (okta/terraform-provider-oktapam, pam-sdk-go, api_workloads); it was not run against a live tenant.
//
// It is not an OAuth access token: Okta's custom authorization servers exchange only tokens that Okta issued.
package okta

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/wire"
)

// Config names the workload connection.
type Config struct {
	OrgURL     string // https://ORG.pam.okta.com
	Team       string
	Connection string
	Role       string // a workload role to ask for, or empty

	// CredentialType is sent as it is. Which literal Okta wants, JWT or jwt, is not confirmed.
	CredentialType string

	// Trace, if not nil, is called after each attempt of a request.
	Trace func(line string)
}

// Backend is Okta Privileged Access.
type Backend struct {
	Config
	client *http.Client
}

var _ federation.Backend = (*Backend)(nil)

// New prepares the exchange; it sends nothing.
func New(c Config) *Backend {
	return &Backend{c, transport.New(transport.Config{Trace: c.Trace})}
}

// The variables that Okta's client reads.
const (
	addrVariable  = "OPA_ADDR"
	teamVariable  = "SFT_TEAM"
	tokenVariable = "OPA_TOKEN"
)

// Name implements [federation.Backend].
func (b *Backend) Name() string { return "okta" }

const name = "default"

// request is IssueRequest of Okta's SDK. Its comments call the token base64: taken as the compact form, which is base64
// already (not confirmed).
type request struct {
	CredentialType string `json:"credential_type"`
	JWT            string `json:"jwt"`
	RoleHint       string `json:"role_hint,omitempty"`
}

const tokenFile = "okta/token"

func (b *Backend) principal() string {
	return "workload connection " + b.Connection + " of team " + b.Team
}

// Targets implements [federation.Backend].
func (b *Backend) Targets() []federation.Target {
	return []federation.Target{{
		Backend: b.Name(), Name: name, Identity: b.principal(), Endpoint: wire.Host(b.OrgURL),
		Resource: b.OrgURL + "/" + url.PathEscape(b.Team) + "/" + url.PathEscape(b.Connection), // as access maps name it
	}}
}

// Exchange implements [federation.Backend].
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) (federation.Grant, error) {
	grant := federation.Grant{Backend: b.Name()}
	way := federation.Begin(b.Targets()[0])
	credential, got, call, err := b.ask(ctx, token)
	way.Called(call)
	grant.Outcomes = []federation.Outcome{way.End(err)}
	if err != nil {
		return grant, fmt.Errorf("okta %s: %w", name, err)
	}
	grant.Credentials = []federation.Credential{credential}
	grant.Files = []federation.File{{Path: tokenFile, Data: got}}
	grant.Env = []federation.Var{
		{Name: addrVariable, Value: b.OrgURL},
		{Name: teamVariable, Value: b.Team},
		{Name: tokenVariable, Contents: tokenFile},
	}
	return grant, nil
}

func (b *Backend) ask(ctx context.Context, token oidc.Token) (federation.Credential, secret.Text, federation.Call, error) {
	call := federation.Call{Operation: "issue_token"}
	doing := "asking workload connection " + b.Connection + " of team " + b.Team
	fail := func(err error) (federation.Credential, secret.Text, federation.Call, error) {
		return federation.Credential{}, secret.Text{}, call, err
	}
	answer, err := wire.Post(ctx, b.client, doing, wire.Request{
		URL:  fmt.Sprintf("%s/v1/teams/%s/workloads/%s/issue_token", b.OrgURL, url.PathEscape(b.Team), url.PathEscape(b.Connection)),
		JSON: request{b.CredentialType, token.Reveal(), b.Role},
	})
	if err != nil {
		return fail(err)
	}
	if !answer.OK() {
		return fail(answer.Refusal(asked{token.Claims.Pasteable()}.explain(doing, answer)))
	}
	got, ok := answer.Token("token")
	if !ok {
		return fail(wire.Unusable(doing, "no token", "OKTA_ORG_URL"))
	}
	call.Principal = b.principal()
	if parsed, err := oidc.Parse(got.Reveal()); err == nil {
		call.Expires = parsed.Claims.Expires // the answer does not say; the token may
	}
	if !answer.Bearer("") {
		return fail(wire.Unusable(doing, "a token_type other than Bearer", "OKTA_ORG_URL"))
	}
	return federation.Credential{
		Name: name, Principal: call.Principal, Expires: call.Expires, Files: []string{tokenFile},
		Lengthen: "raise token_ttl_in_seconds of the workload connection",
	}, got, call, nil
}
