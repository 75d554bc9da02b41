// Package aws trades a step's token for AWS sessions with STS's AssumeRoleWithWebIdentity, one unsigned request for each
// role, follows chains of roles, and turns the sessions into the files that every AWS SDK reads.
package aws

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// Config says which roles to assume, and how.
type Config struct {
	Roles  []Role // at least one; env.sh selects the first
	Region string // for STS and for the files

	// RegionGuessed is set where nobody gave Region: later commands keep a region of their own.
	RegionGuessed bool

	// Endpoint, ECREndpoint and ECRPublicEndpoint are the base URLs of STS, ECR and ECR Public, or empty for those of the region.
	Endpoint, ECREndpoint, ECRPublicEndpoint string

	SessionName string
	Duration    time.Duration // 15 minutes to 12 hours, and at most the role's own maximum

	// Policy and PolicyARNs narrow the sessions that are written; steps of a chain before the last are not narrowed.
	Policy     string
	PolicyARNs []string

	// ExternalID goes with each call of a chain, SourceIdentity with its first, since it stays for the rest; Tags with each.
	ExternalID     string
	SourceIdentity string
	Tags           []Tag

	// Refreshable writes profiles that SDKs renew by themselves, instead of keys.
	Refreshable bool

	// ExportKeys also gives later commands the keys of the first profile as variables, which env.sh reads from the file.
	ExportKeys bool

	// Registries are the ECR registries to log Docker in to.
	Registries []Registry

	// Path gives the absolute path of a [federation.File], for the files that name others.
	Path func(file string) string

	// SDK has what the AWS SDK would read from the environment: FIPS and dual stack, for endpoints of AWS.
	SDK sdkconfig.EnvConfig

	// RootCAs are the authorities to trust; nil means the system's.
	RootCAs *x509.CertPool

	// Trace, if not nil, is called after each attempt of a request.
	Trace func(line string)
}

// A Role becomes one profile.
type Role struct {
	Profile string
	ARN     ARN
	Chain   []ARN // roles to assume in turn after ARN; the last one's session is the profile's
}

const defaultProfile = "default"

// last is the role that the profile stands for: the last role of the chain, or the only one.
func (r Role) last() ARN {
	if len(r.Chain) == 0 {
		return r.ARN
	}
	return r.Chain[len(r.Chain)-1]
}

// A Tag is a session tag.
type Tag struct{ Key, Value string }

// Backend is AWS.
type Backend struct {
	Config
	client *http.Client
}

var _ federation.Backend = (*Backend)(nil)

// New prepares the exchange; it sends nothing.
func New(c Config) *Backend {
	return &Backend{c, transport.New(transport.Config{RootCAs: c.RootCAs, Judge: judge, Trace: c.Trace})}
}

// Name implements [federation.Backend].
func (b *Backend) Name() string { return "aws" }

// sdkConfig makes clients of the SDK that sign with credentials. Nothing of the SDK's own search for credentials is used.
func (b *Backend) sdkConfig(region string, credentials sdk.CredentialsProvider) sdk.Config {
	return sdk.Config{
		Region:        region,
		Credentials:   credentials,
		HTTPClient:    b.client,
		Retryer:       func() sdk.Retryer { return sdk.NopRetryer{} }, // the transport retries
		ConfigSources: []any{b.SDK},
		AppID:         "bitbucket-oidc", // in the user agent, and so in CloudTrail
	}
}

func (b *Backend) sts(credentials sdk.CredentialsProvider) *sts.Client {
	return sts.NewFromConfig(b.sdkConfig(b.Region, credentials), func(o *sts.Options) {
		o.BaseEndpoint = endpoint(b.Endpoint)
		if o.BaseEndpoint != nil {
			o.EndpointOptions = sts.EndpointResolverOptions{} // the SDK refuses FIPS beside an endpoint
		}
	})
}

// endpoint is a base URL for the SDK. Whatever the SDK itself made of the endpoint variables, the checked value counts.
func endpoint(url string) *string {
	if url == "" {
		return nil
	}
	return &url
}

// Targets implements [federation.Backend]: the profiles, and then the registries.
func (b *Backend) Targets() []federation.Target {
	var targets []federation.Target
	for _, r := range b.Roles {
		targets = append(targets, b.target(r))
	}
	for _, r := range b.Registries {
		t := b.target(b.roleFor(r))
		t.Name, t.Through, t.Lifetime = r.Host, t.Name, 0
		t.Region, t.Endpoint = r.Region, b.registryAt(r)
		targets = append(targets, t)
	}
	return targets
}

func (b *Backend) target(r Role) federation.Target {
	t := federation.Target{
		Backend: b.Name(), Name: r.Profile, Identity: r.ARN.String(), Account: r.last().Account,
		Region: b.Region, SessionName: b.SessionName, Endpoint: b.endpointHost(), Lifetime: b.Duration, Policies: slices.Clone(b.PolicyARNs),
	}
	for _, next := range r.Chain {
		t.Via = append(t.Via, next.String())
		t.Lifetime = min(t.Lifetime, longestChained)
	}
	if b.Policy != "" {
		t.Policies = append(t.Policies, b.Policy)
	}
	t.Narrowed = len(t.Policies) > 0
	return t
}

// Exchange implements [federation.Backend]. Roles are assumed side by side, and then the registries logged in to.
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) (federation.Grant, error) {
	targets := b.Targets()
	profiles, registries := targets[:len(b.Roles)], targets[len(b.Roles):]
	sessions, outcomes, err := b.obtainAll(ctx, token, profiles)
	if err != nil {
		return federation.Grant{Backend: b.Name(), Outcomes: append(outcomes, federation.NotAsked(registries)...)}, err
	}
	logins, ofLogins, err := b.logInAll(ctx, sessions, registries)
	outcomes = append(outcomes, ofLogins...)
	if err != nil {
		return federation.Grant{Backend: b.Name(), Outcomes: outcomes}, err
	}
	return b.grant(token, sessions, logins, outcomes), nil
}

// grant is what later commands get of sessions and registries' logins.
func (b *Backend) grant(token oidc.Token, sessions []session, logins []login, outcomes []federation.Outcome) federation.Grant {
	first := sessions[0]
	g := federation.Grant{
		Backend: b.Name(), Outcomes: outcomes, Files: b.files(token, sessions), Env: b.env(),
		Keys: &federation.Keys{ID: secret.New(first.accessKeyID), Region: b.Region, Secret: first.secretKey, Session: first.sessionToken},
	}
	for _, s := range sessions {
		g.Credentials = append(g.Credentials, b.credential(token, s, g.Files))
	}
	for _, l := range logins {
		g.Credentials = append(g.Credentials, l.credential)
		g.Registries = append(g.Registries, l.registry)
	}
	return g
}

func (b *Backend) credential(token oidc.Token, s session, files []federation.File) federation.Credential {
	c := federation.Credential{Name: s.role.Profile, Principal: s.principal, Expires: s.expires}
	for _, f := range files {
		c.Files = append(c.Files, f.Path)
	}
	switch {
	case b.Refreshable:
		// SDKs renew as long as STS takes the token. Each renewed session may outlive it.
		c.Expires, c.Refreshes = token.Claims.Expires, true
		c.Lengthen = "Bitbucket does not renew the step's token: split the step, or set AWS_SESSION_DURATION instead of AWS_REFRESHABLE"
	case len(s.role.Chain) > 0:
		c.Lengthen = "AWS ends chained sessions after an hour: set AWS_REFRESHABLE, or assume the role without a chain"
	default:
		c.Lengthen = "raise AWS_SESSION_DURATION, and the role's maximum session duration if that is below, or set AWS_REFRESHABLE"
	}
	return c
}

// sideBySide gets the credentials of all targets at the same time. It joins the errors, each with the target's name before it.
func sideBySide[T any](targets []federation.Target, get func(i int, way *federation.Attempt) (T, error)) ([]T, []federation.Outcome, error) {
	results := make([]T, len(targets))
	outcomes := make([]federation.Outcome, len(targets))
	errs := make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			way := federation.Begin(t)
			var err error
			if results[i], err = get(i, way); err != nil {
				errs[i] = fmt.Errorf("aws %s: %w", t.Name, err)
			}
			outcomes[i] = way.End(err)
		})
	}
	all.Wait()
	return results, outcomes, together(errs)
}
