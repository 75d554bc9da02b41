// Package aws trades a step's token for AWS sessions with STS's AssumeRoleWithWebIdentity, one unsigned request for each
// role, follows chains of roles, and words the sessions as the files that every AWS SDK reads.
package aws

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/transport"
)

// Config says which roles to assume, and how.
type Config struct {
	Roles  []Role // at least one; env.sh selects the first
	Region string // for STS and for the files

	// Endpoint and ECREndpoint are the base URLs of STS and ECR, or empty for those of the region.
	Endpoint, ECREndpoint string

	SessionName string
	Duration    time.Duration // 15 minutes to 12 hours, and at most the role's own maximum

	// Policy and PolicyARNs narrow the sessions that are written; steps of a chain before the last are not narrowed.
	Policy     string
	PolicyARNs []string

	// AllowedAccounts are the accounts whose credentials may be written; none means any.
	AllowedAccounts []string

	// ExternalID goes with each call of a chain, SourceIdentity with its first, since it stays for the rest; Tags with each.
	ExternalID     string
	SourceIdentity string
	Tags           []Tag

	// Refreshable writes profiles that SDKs renew by themselves, in place of keys.
	Refreshable bool

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

// Exchange implements [federation.Backend]. Roles are assumed side by side, and then the registries logged in to.
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) ([]federation.Credentials, error) {
	if err := b.guard(); err != nil {
		return nil, err
	}
	sessions, err := sideBySide(b.Roles, func(r Role) (session, error) {
		s, err := b.obtain(ctx, token, r)
		if err != nil {
			err = fmt.Errorf("aws %s: %w", r.Profile, err)
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	registries, err := sideBySide(b.Registries, func(r Registry) (federation.Credentials, error) {
		c, err := b.logIn(ctx, r, sessions)
		if err != nil {
			err = fmt.Errorf("aws %s: %w", r.Host, err)
		}
		return c, err
	})
	if err != nil {
		return nil, err
	}
	files := b.files(token, sessions)
	var credentials []federation.Credentials
	for _, s := range sessions {
		c := federation.Credentials{Name: s.role.Profile, Principal: s.principal, Expires: s.expires, Files: files}
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
		credentials = append(credentials, c)
	}
	credentials[0].Env = b.env()
	return append(credentials, registries...), nil
}

// sideBySide calls do for every item at once. The errors are joined, and what was refused alike is told as one.
func sideBySide[In, Out any](items []In, do func(In) (Out, error)) ([]Out, error) {
	results := make([]Out, len(items))
	errs := make([]error, len(items))
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() { results[i], errs[i] = do(item) })
	}
	all.Wait()
	return results, together(errs)
}

// guard refuses roles of other accounts before anything is sent, for any of them.
func (b *Backend) guard() error {
	var errs []error
	for _, r := range b.Roles {
		if err := b.allowed(r.last().Account); err != nil {
			errs = append(errs, fmt.Errorf("aws %s: %w", r.Profile, err))
		}
	}
	return errors.Join(errs...)
}

// allowed is the account guard, which also speaks about the answer's ARN.
func (b *Backend) allowed(account string) error {
	if len(b.AllowedAccounts) == 0 || slices.Contains(b.AllowedAccounts, account) {
		return nil
	}
	if account == "" {
		account = "a role without an account"
	} else {
		account = "account " + account
	}
	return hint.New(account+" is not among AWS_ALLOWED_ACCOUNTS",
		"correct the role, or add its account to AWS_ALLOWED_ACCOUNTS; nothing was written")
}

// env selects the written profile and unsets whatever an SDK would prefer to it: SDKs differ in whether keys in the
// environment beat a profile.
func (b *Backend) env() []federation.Var {
	vars := []federation.Var{
		{Name: "AWS_SHARED_CREDENTIALS_FILE", File: "aws/credentials"},
		{Name: "AWS_CONFIG_FILE", File: "aws/config"},
		{Name: "AWS_PROFILE", Value: b.Roles[0].Profile},
		{Name: "AWS_REGION", Value: b.Region},
		{Name: "AWS_DEFAULT_REGION", Value: b.Region},
		{Name: "AWS_STS_REGIONAL_ENDPOINTS", Value: "regional"},
	}
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_DEFAULT_PROFILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	} {
		vars = append(vars, federation.Var{Name: name, Unset: true})
	}
	return vars
}
