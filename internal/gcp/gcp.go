// Package gcp trades a step's token for Google Cloud access tokens: Google's STS gives a federated token, and, where a
// service account is named, the IAM Credentials API gives that account's token for it. Each is one request.
package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// CloudPlatform is the scope of everything that IAM lets a principal do.
const CloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

// DefaultUniverse is the domain of Google's own APIs.
const DefaultUniverse = "googleapis.com"

// Config says which principal to become, and how.
type Config struct {
	Provider       Provider
	ServiceAccount string // e-mail; empty for direct federation
	Project        string // for later commands, or empty
	ProjectGuessed bool   // nobody gave Project: later commands keep the project that they have
	Lifetime       time.Duration
	Scopes         []string

	// Delegates are the service accounts between the federated identity and ServiceAccount, each of which may act for the
	// next one.
	Delegates []string

	// IDTokenAudience asks for an ID token of ServiceAccount as well; empty for none.
	IDTokenAudience string

	// Registries are the hosts to log Docker in to.
	Registries []string

	// STSEndpoint and IAMCredentialsEndpoint are base URLs without a slash at the end.
	STSEndpoint, IAMCredentialsEndpoint string
	Universe                            string

	// Path gives the absolute path of a [federation.File], for the files that name others.
	Path func(file string) string

	// Trace, if not nil, is called after each attempt of a request.
	Trace func(line string)
}

// Backend is Google Cloud.
type Backend struct {
	Config
	client *http.Client
}

var _ federation.Backend = (*Backend)(nil)

// New prepares the exchange; it sends nothing.
func New(c Config) *Backend {
	return &Backend{c, transport.New(transport.Config{Trace: c.Trace})}
}

// Name implements [federation.Backend].
func (b *Backend) Name() string { return "gcp" }

// The names of what Google gives.
const (
	name    = "default"
	idToken = "id-token"
)

// Targets implements [federation.Backend]: the access token, and the ID token if there is to be one.
func (b *Backend) Targets() []federation.Target {
	t := federation.Target{
		Backend: b.Name(), Name: name, Identity: b.Provider.String(), Provider: b.Provider.String(), Project: b.Project, Endpoint: host(b.STSEndpoint),
		Scopes: slices.Clone(b.Scopes), Via: slices.Clone(b.Delegates),
	}
	if b.ServiceAccount == "" {
		return []federation.Target{t}
	}
	t.Identity, t.Lifetime = b.ServiceAccount, b.Lifetime
	if project := ProjectOf(b.ServiceAccount); project != "" {
		t.Project = project
	}
	targets := []federation.Target{t}
	if b.IDTokenAudience != "" {
		t.Name, t.Audience, t.Scopes, t.Lifetime = idToken, b.IDTokenAudience, nil, 0
		targets = append(targets, t)
	}
	return targets
}

// host is the host of a base URL, which has been checked.
func host(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Host
}

// Exchange implements [federation.Backend].
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) (federation.Grant, error) {
	got, outcomes, err := b.obtain(ctx, token)
	if err != nil {
		return federation.Grant{Backend: b.Name(), Outcomes: outcomes}, err
	}
	return federation.Grant{
		Backend: b.Name(), Outcomes: outcomes, Files: b.files(token, got), Env: b.env(),
		Credentials: b.credentials(got), Registries: b.registries(got.access),
	}, nil
}

// tokens are what Google gave.
type tokens struct {
	principal string // who the step becomes
	access    grant
	identity  grant // an ID token, with IDTokenAudience
}

// obtain exchanges the step's token, and then becomes the service account if there is one.
func (b *Backend) obtain(ctx context.Context, token oidc.Token) (tokens, []federation.Outcome, error) {
	targets := b.Targets()
	way := federation.Begin(targets[0])
	federated, call, err := b.federate(ctx, token)
	way.Called(call)
	if err != nil {
		outcomes := append([]federation.Outcome{way.End(err)}, federation.NotAsked(targets[1:])...)
		return tokens{}, outcomes, fmt.Errorf("gcp %s: %w", name, err)
	}
	if b.ServiceAccount == "" {
		return tokens{principal: b.Provider.String(), access: federated}, []federation.Outcome{way.End(nil)}, nil
	}
	return b.become(ctx, token.Claims, federated.token, way, targets[1:])
}

// become gets the service account's tokens side by side. The way to its access token has begun; more is the target of the ID
// token, if there is to be one.
func (b *Backend) become(
	ctx context.Context, claims oidc.Claims, federated secret.Text, way *federation.Attempt, more []federation.Target,
) (tokens, []federation.Outcome, error) {
	got := tokens{principal: b.ServiceAccount}
	outcomes := make([]federation.Outcome, 1+len(more))
	errs := make([]error, 1+len(more))
	var all sync.WaitGroup
	ask := func(i int, way *federation.Attempt, call func(context.Context, oidc.Claims, secret.Text) (grant, federation.Call, error), answer *grant) {
		all.Go(func() {
			given, made, err := call(ctx, claims, federated)
			way.Called(made)
			*answer, outcomes[i] = given, way.End(err)
			if err != nil {
				errs[i] = fmt.Errorf("gcp %s: %w", outcomes[i].Target.Name, err)
			}
		})
	}
	ask(0, way, b.impersonate, &got.access)
	if len(more) > 0 {
		ask(1, federation.Begin(more[0]), b.identify, &got.identity)
	}
	all.Wait()
	return got, outcomes, errors.Join(errs...)
}

// credentials are the access token, the ID token if there is one, and Docker's logins.
func (b *Backend) credentials(got tokens) []federation.Credential {
	access := federation.Credential{Name: name, Principal: got.principal, Expires: got.access.expires, Lengthen: b.lengthen()}
	docker := access
	access.Files, docker.Files = accessFiles(), []string{federation.DockerConfig}
	all := []federation.Credential{access}
	if b.IDTokenAudience != "" {
		all = append(all, federation.Credential{
			Name: idToken, Principal: got.principal, Expires: got.identity.expires, Files: []string{idTokenFile},
			Lengthen: "Google fixes it: call the pipe again before the token is needed",
		})
	}
	for _, registry := range b.Registries {
		docker.Name = registry
		all = append(all, docker)
	}
	return all
}

func (b *Backend) lengthen() string {
	if b.ServiceAccount == "" {
		return "a federated token ends with the step's own: set GCP_SERVICE_ACCOUNT, whose tokens last GCP_TOKEN_LIFETIME"
	}
	return "raise GCP_TOKEN_LIFETIME (over 1h where the organisation allows it)"
}

// registries are Docker's logins with the access token. The user name is a fixed one (Artifact Registry, "Configure authentication to
// Artifact Registry for Docker").
func (b *Backend) registries(access grant) []federation.Registry {
	var all []federation.Registry
	for _, host := range b.Registries {
		all = append(all, federation.Registry{Host: host, Username: "oauth2accesstoken", Password: access.token})
	}
	return all
}
