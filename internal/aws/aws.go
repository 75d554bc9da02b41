// Package aws trades a step's token for AWS sessions with STS's AssumeRoleWithWebIdentity, one unsigned request for each
// role, and words them as the files that every AWS SDK reads.
package aws

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// Config says which roles to assume, and how.
type Config struct {
	Roles  []Role
	Region string // for STS and for the files

	// Endpoint is the base URL of STS, or empty for the one of the region.
	Endpoint string

	SessionName string
	Duration    time.Duration // 15 minutes to 12 hours, and at most the role's own maximum
	Policy      string        // inline session policy, or empty
	PolicyARNs  []string      // managed session policies

	// AllowedAccounts are the accounts whose credentials may be written; none means any.
	AllowedAccounts []string

	// SDK is what the AWS SDK reads from the environment. FIPS and dual stack count; credentials and profiles do not.
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
}

// Backend is AWS.
type Backend struct {
	Config
	client *sts.Client
}

var _ federation.Backend = (*Backend)(nil)

// New prepares the exchange; it sends nothing.
func New(c Config) *Backend {
	client := sts.NewFromConfig(sdk.Config{
		Region:        c.Region,
		Credentials:   sdk.AnonymousCredentials{},
		HTTPClient:    transport.New(transport.Config{RootCAs: c.RootCAs, Transient: transient, Trace: c.Trace}),
		Retryer:       func() sdk.Retryer { return sdk.NopRetryer{} }, // the transport retries
		ConfigSources: []any{c.SDK},
		AppID:         "bitbucket-oidc", // in the user agent, and so in CloudTrail
	}, func(o *sts.Options) {
		// Whatever the SDK made of the endpoint variables, the checked value counts.
		o.BaseEndpoint = nil
		if c.Endpoint != "" {
			o.BaseEndpoint = &c.Endpoint
		}
	})
	return &Backend{c, client}
}

// Name implements [federation.Backend].
func (b *Backend) Name() string { return "aws" }

// session is what STS gave for one role.
type session struct {
	role         Role
	principal    string
	accessKeyID  string
	secretKey    secret.Text
	sessionToken secret.Text
	expires      time.Time
}

// Exchange implements [federation.Backend]. Roles are assumed side by side.
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) ([]federation.Credentials, error) {
	sessions := make([]session, len(b.Roles))
	errs := make([]error, len(b.Roles))
	var all sync.WaitGroup
	for i, role := range b.Roles {
		all.Go(func() {
			s, err := b.assume(ctx, token, role)
			if err != nil {
				err = fmt.Errorf("aws %s: %w", role.Profile, err)
			}
			sessions[i], errs[i] = s, err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	files := []federation.File{
		{Path: "aws/credentials", Data: credentialsFile(sessions)},
		{Path: "aws/config", Data: configFile(sessions, b.Region)},
	}
	credentials := make([]federation.Credentials, len(sessions))
	for i, s := range sessions {
		credentials[i] = federation.Credentials{Name: s.role.Profile, Principal: s.principal, Expires: s.expires, Files: files}
	}
	credentials[0].Env = b.env()
	return credentials, nil
}

// env selects the written profile and unsets whatever an SDK would prefer to it: SDKs differ in whether keys in the
// environment beat a profile.
func (b *Backend) env() []federation.Var {
	profile := b.Roles[0].Profile // the default role stands first
	vars := []federation.Var{
		{Name: "AWS_SHARED_CREDENTIALS_FILE", File: "aws/credentials"},
		{Name: "AWS_CONFIG_FILE", File: "aws/config"},
		{Name: "AWS_PROFILE", Value: profile},
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

func (b *Backend) assume(ctx context.Context, token oidc.Token, role Role) (session, error) {
	if err := b.allowed(role.ARN.Account); err != nil {
		return session{}, err
	}
	doing := "assuming " + role.ARN.String()
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          sdk.String(role.ARN.String()),
		RoleSessionName:  sdk.String(b.SessionName),
		WebIdentityToken: sdk.String(token.Reveal()),
		DurationSeconds:  sdk.Int32(int32(b.Duration / time.Second)),
	}
	if b.Policy != "" {
		in.Policy = &b.Policy
	}
	for _, arn := range b.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: &arn})
	}
	out, err := b.client.AssumeRoleWithWebIdentity(ctx, in)
	if err != nil {
		return session{}, refusal{token.Claims, role.ARN, b.Duration}.explain(doing, err)
	}
	s, err := read(role, out.Credentials, out.AssumedRoleUser, b.SessionName)
	if err != nil {
		return session{}, fmt.Errorf("%s: %w", doing, err)
	}
	account, _ := accountOf(s.principal)
	if err := b.allowed(account); err != nil {
		return session{}, err
	}
	return s, nil
}

// allowed is the account guard. It speaks before anything is sent, and again about the answer's ARN.
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

var (
	keyIDPattern     = regexp.MustCompile(`^\w{16,128}$`)
	keyPattern       = regexp.MustCompile(`^[\w+/=.:~@%,-]+$`)
	principalPattern = regexp.MustCompile(`^arn:[a-z0-9-]+:sts::([0-9]{12}):assumed-role/[\w+=,.@/-]+$`)
)

func accountOf(principal string) (string, bool) {
	m := principalPattern.FindStringSubmatch(principal)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// read checks STS's answer. What it holds goes into INI files and onto the screen, so anything that could not come from
// STS ends the login.
func read(role Role, c *types.Credentials, user *types.AssumedRoleUser, sessionName string) (session, error) {
	unusable := func(what string) (session, error) {
		return session{}, hint.New("STS's answer cannot be used: "+what, "something other than AWS STS may have answered: look at AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL and the proxy")
	}
	if c == nil {
		return unusable("no credentials")
	}
	id, key, token := sdk.ToString(c.AccessKeyId), sdk.ToString(c.SecretAccessKey), sdk.ToString(c.SessionToken)
	switch {
	case !keyIDPattern.MatchString(id):
		return unusable("no access key id")
	case !keyPattern.MatchString(key):
		return unusable("no secret access key")
	case !keyPattern.MatchString(token):
		return unusable("no session token")
	case c.Expiration == nil || c.Expiration.IsZero():
		return unusable("no expiration")
	}
	principal := ""
	if user != nil {
		principal = sdk.ToString(user.Arn)
	}
	if _, ok := accountOf(principal); !ok {
		if _, known := homeRegion(role.ARN.Partition); known || principal != "" {
			return unusable("no ARN of an assumed role")
		}
		// A server that speaks STS's protocol in a partition of its own, such as MinIO, names nobody.
		principal = role.ARN.String() + "/" + sessionName
	}
	return session{role, principal, id, secret.New(key), secret.New(token), c.Expiration.UTC()}, nil
}

// credentialsFile has one section for each session. No comments on a line with a value: botocore would keep them. No
// expiry: there is no key for it that readers honour.
func credentialsFile(sessions []session) secret.Text {
	var f strings.Builder
	for i, s := range sessions {
		section(&f, i, s.role.Profile,
			"aws_access_key_id", s.accessKeyID,
			"aws_secret_access_key", s.secretKey.Reveal(),
			"aws_session_token", s.sessionToken.Reveal())
	}
	return secret.New(f.String())
}

func configFile(sessions []session, region string) secret.Text {
	var f strings.Builder
	for i, s := range sessions {
		name := "profile " + s.role.Profile
		if s.role.Profile == "default" {
			name = "default"
		}
		// Without the second key old SDKs ask the global endpoint, which other partitions do not have.
		section(&f, i, name, "region", region, "sts_regional_endpoints", "regional")
	}
	return secret.New(f.String())
}

func section(w io.Writer, i int, name string, pairs ...string) {
	if i > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "[%s]\n", name)
	for p := range slices.Chunk(pairs, 2) {
		fmt.Fprintf(w, "%s = %s\n", p[0], p[1])
	}
}
