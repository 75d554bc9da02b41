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

	// Refreshable writes profiles that SDKs renew by themselves, in place of keys.
	Refreshable bool

	// ExportKeys also gives later commands the keys of the first profile as variables, which env.sh reads from the file.
	ExportKeys bool

	// Registries are the ECR registries to log Docker in to.
	Registries []Registry

	// Path gives the absolute path of a [federation.File], for the files that name others.
	Path func(file string) string

	// SDK stands for what the AWS SDK reads from the environment: FIPS and dual stack, for endpoints of AWS's own.
	SDK sdkconfig.EnvConfig

	// RootCAs are the authorities to trust; nil means the system's.
	RootCAs *x509.CertPool

	// Trace, if not nil, is told of each attempt of a request.
	Trace func(line string)
}

// A Role becomes one profile.
type Role struct {
	Profile string
	ARN     ARN
	Chain   []ARN // roles to assume in turn after ARN; the last one's session is the profile's
}

const defaultProfile = "default"

// last is the role whose session is written.
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
	grant := federation.Grant{Backend: b.Name()}
	targets := b.Targets()
	notAsked := func(targets []federation.Target) {
		for _, t := range targets {
			grant.Outcomes = append(grant.Outcomes, federation.NotAsked(t))
		}
	}
	profiles, registries := targets[:len(b.Roles)], targets[len(b.Roles):]
	sessions, outcomes, err := b.obtainAll(ctx, token, profiles)
	grant.Outcomes = outcomes
	if err != nil {
		notAsked(registries)
		return grant, err
	}
	logins, outcomes, err := b.logInAll(ctx, sessions, registries)
	grant.Outcomes = append(grant.Outcomes, outcomes...)
	if err != nil {
		return grant, err
	}
	grant.Files, grant.Env = b.files(token, sessions), b.env()
	grant.Keys = &federation.Keys{
		ID: secret.New(sessions[0].accessKeyID), Region: b.Region, Secret: sessions[0].secretKey, Session: sessions[0].sessionToken,
	}
	for _, s := range sessions {
		grant.Credentials = append(grant.Credentials, b.credential(token, s, grant.Files))
	}
	for _, l := range logins {
		grant.Credentials = append(grant.Credentials, l.credential)
		grant.Registries = append(grant.Registries, l.registry)
	}
	return grant, nil
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
		c.Lengthen = "Bitbucket does not renew the step's token: split the step, or set AWS_SESSION_DURATION in place of AWS_REFRESHABLE"
	case len(s.role.Chain) > 0:
		c.Lengthen = "AWS ends chained sessions after an hour: set AWS_REFRESHABLE, or assume the role without a chain"
	default:
		c.Lengthen = "raise AWS_SESSION_DURATION, and the role's maximum session duration if that is below, or set AWS_REFRESHABLE"
	}
	return c
}

// sideBySide goes the way to every target's credential at once. It joins the errors, each with the target's name before it.
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

// env selects the written profile and unsets whatever an SDK would prefer to it: SDKs differ in whether keys in the
// environment beat a profile.
func (b *Backend) env() []federation.Var {
	vars := []federation.Var{
		{Name: "AWS_SHARED_CREDENTIALS_FILE", File: credentialsFile},
		{Name: "AWS_CONFIG_FILE", File: configFile},
		// The name of the same file in s3cmd, and in the SDK for Java v1.
		{Name: "AWS_CREDENTIAL_FILE", File: credentialsFile},
		{Name: "AWS_CREDENTIAL_PROFILES_FILE", File: credentialsFile},
		{Name: "AWS_PROFILE", Value: b.Roles[0].Profile},
		// Without it the SDK for JavaScript v2 does not look at the files that are named above, nor the one for Go v1 at the
		// second of them (aws-sdk-js, lib/util.js, getProfilesFromSharedConfig).
		{Name: "AWS_SDK_LOAD_CONFIG", Value: "1"},
		// A login that an SDK cannot use must fail. On EC2 the SDK would go on as the runner.
		{Name: "AWS_EC2_METADATA_DISABLED", Value: "true"},
		{Name: "AWS_STS_REGIONAL_ENDPOINTS", Value: "regional"},
	}
	for _, names := range [][]string{{"AWS_REGION", "AWS_DEFAULT_REGION"}, {"AWS_DEFAULT_REGION", "AWS_REGION"}} {
		region := federation.Var{Name: names[0], Value: b.Region}
		if b.RegionGuessed {
			region.Guess = names
		}
		vars = append(vars, region)
	}
	set := map[string]federation.Var{}
	switch first := b.Roles[0]; {
	case b.Refreshable && len(first.Chain) == 0:
		// Every SDK knows these, also those that do not know such a profile.
		set["AWS_ROLE_ARN"] = federation.Var{Value: first.ARN.String()}
		set["AWS_ROLE_SESSION_NAME"] = federation.Var{Value: b.SessionName}
		set["AWS_WEB_IDENTITY_TOKEN_FILE"] = federation.Var{File: tokenFile}
	case b.ExportKeys:
		set["AWS_ACCESS_KEY_ID"] = federation.Var{Contents: credentialsFile, Key: "aws_access_key_id"}
		set["AWS_SECRET_ACCESS_KEY"] = federation.Var{Contents: credentialsFile, Key: "aws_secret_access_key"}
		set["AWS_SESSION_TOKEN"] = federation.Var{Contents: credentialsFile, Key: "aws_session_token"}
	}
	for _, name := range rivals() {
		v, ok := set[name]
		v.Name, v.Unset = name, !ok
		vars = append(vars, v)
	}
	return vars
}

// rivals are the variables that could win over a profile, in any SDK and under any of their names.
func rivals() []string {
	return []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
		"AWS_ACCESS_KEY", "AWS_SECRET_KEY", // of the SDKs for Go and Java
		"AMAZON_ACCESS_KEY_ID", "AMAZON_SECRET_ACCESS_KEY", "AMAZON_SESSION_TOKEN", // of the SDKs for JavaScript v2 and Ruby
		"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_DEFAULT_PROFILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_BEARER_TOKEN_BEDROCK",                          // an API key of Bedrock, which the SDKs prefer there to a signature
		"AWS_CREDENTIAL_EXPIRATION", "AWS_CREDENTIAL_SCOPE", // belong to the keys
	}
}
