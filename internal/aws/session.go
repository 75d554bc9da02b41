package aws

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
)

// longestChained is how long a session lasts at most that a session asked for (IAM user guide, "Role chaining").
const longestChained = time.Hour

// session is what STS gave for one role.
type session struct {
	role         Role
	principal    string
	accessKeyID  string
	secretKey    secret.Text
	sessionToken secret.Text
	expires      time.Time
}

// provider signs with the session.
func (s session) provider() sdk.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(s.accessKeyID, s.secretKey.Reveal(), s.sessionToken.Reveal())
}

// obtain assumes a role, and after it the roles of its chain.
func (b *Backend) obtain(ctx context.Context, token oidc.Token, role Role) (session, error) {
	s, err := b.assumeWithToken(ctx, token, role)
	for i := range role.Chain {
		if err == nil {
			s, err = b.assumeNext(ctx, token.Claims, s, i)
		}
	}
	if err != nil {
		return session{}, err
	}
	account, _ := accountOf(s.principal)
	return s, b.allowed(account)
}

func (b *Backend) assumeWithToken(ctx context.Context, token oidc.Token, role Role) (session, error) {
	doing := "assuming " + role.ARN.String()
	duration := b.Duration
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          sdk.String(role.ARN.String()),
		RoleSessionName:  &b.SessionName,
		WebIdentityToken: sdk.String(token.Reveal()),
	}
	if len(role.Chain) == 0 {
		in.Policy, in.PolicyArns = b.policies()
	} else {
		duration = min(duration, longestChained) // it is only needed to ask for the next one
	}
	in.DurationSeconds = seconds(duration)
	out, err := b.sts(sdk.AnonymousCredentials{}).AssumeRoleWithWebIdentity(ctx, in)
	if err != nil {
		return session{}, request{claims: token.Claims, role: role.ARN, duration: duration}.explain(ctx, doing, b.host(), err)
	}
	s, err := read(role, role.ARN, out.Credentials, out.AssumedRoleUser, b.SessionName)
	if err != nil {
		return session{}, fmt.Errorf("%s: %w", doing, err)
	}
	return s, nil
}

// assumeNext assumes the chain's role number i with the session of the one before.
func (b *Backend) assumeNext(ctx context.Context, claims oidc.Claims, from session, i int) (session, error) {
	role := from.role
	previous, next := role.ARN, role.Chain[i]
	if i > 0 {
		previous = role.Chain[i-1]
	}
	doing := fmt.Sprintf("assuming %s from %s", next, previous)
	in := &sts.AssumeRoleInput{
		RoleArn:         sdk.String(next.String()),
		RoleSessionName: &b.SessionName,
		DurationSeconds: seconds(min(b.Duration, longestChained)),
	}
	if b.ExternalID != "" {
		in.ExternalId = &b.ExternalID
	}
	if b.SourceIdentity != "" && i == 0 {
		in.SourceIdentity = &b.SourceIdentity
	}
	for _, t := range b.Tags {
		in.Tags = append(in.Tags, types.Tag{Key: &t.Key, Value: &t.Value})
	}
	if i == len(role.Chain)-1 {
		in.Policy, in.PolicyArns = b.policies()
	}
	out, err := b.sts(from.provider()).AssumeRole(ctx, in)
	if err != nil {
		return session{}, request{
			claims: claims, role: next, duration: min(b.Duration, longestChained),
			from: &previous, externalID: b.ExternalID, sourceIdentity: b.SourceIdentity, tagged: len(b.Tags) > 0,
		}.explain(ctx, doing, b.host(), err)
	}
	s, err := read(role, next, out.Credentials, out.AssumedRoleUser, b.SessionName)
	if err != nil {
		return session{}, fmt.Errorf("%s: %w", doing, err)
	}
	return s, nil
}

func seconds(d time.Duration) *int32 { return sdk.Int32(int32(d / time.Second)) }

func (b *Backend) policies() (inline *string, managed []types.PolicyDescriptorType) {
	if b.Policy != "" {
		inline = &b.Policy
	}
	for _, arn := range b.PolicyARNs {
		managed = append(managed, types.PolicyDescriptorType{Arn: &arn})
	}
	return inline, managed
}

// host is where STS is, for messages.
func (b *Backend) host() string {
	if b.Endpoint != "" {
		return b.Endpoint
	}
	return "AWS STS in " + b.Region
}

// accountOf is the account in the ARN of an assumed role, and whether it is one.
func accountOf(principal string) (string, bool) {
	parts := strings.SplitN(principal, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !isPartition(parts[1]) || parts[2] != "sts" || parts[3] != "" || !IsAccount(parts[4]) {
		return "", false
	}
	session, ok := strings.CutPrefix(parts[5], "assumed-role/")
	return parts[4], ok && charset.Only(session, charset.Word+"+=,.@/-", 3, 1024)
}

// isKey tells whether s could be a secret key or a session token: base64, or a JWT for servers that use one. AWS asks not
// to assume how long a token is.
func isKey(s string) bool { return charset.Only(s, charset.Word+"+/=.:~@%,-", 1, 64<<10) }

// read checks STS's answer. What it holds goes into INI files and onto the screen, so anything that could not come from
// STS ends the login.
func read(role Role, assumed ARN, c *types.Credentials, user *types.AssumedRoleUser, sessionName string) (session, error) {
	unusable := func(what string) (session, error) {
		return session{}, hint.New("STS's answer cannot be used: "+what, otherServer)
	}
	if c == nil {
		return unusable("no credentials")
	}
	id, key, token := sdk.ToString(c.AccessKeyId), sdk.ToString(c.SecretAccessKey), sdk.ToString(c.SessionToken)
	switch {
	case !charset.Only(id, charset.Word, 16, 128):
		return unusable("no access key id")
	case !isKey(key):
		return unusable("no secret access key")
	case !isKey(token):
		return unusable("no session token")
	case c.Expiration == nil || c.Expiration.IsZero():
		return unusable("no expiration")
	}
	principal := ""
	if user != nil {
		principal = sdk.ToString(user.Arn)
	}
	if _, ok := accountOf(principal); !ok {
		if _, known := HomeRegion(assumed.Partition); known || principal != "" {
			return unusable("no ARN of an assumed role")
		}
		// A server that speaks STS's protocol in a partition of its own, such as MinIO, names nobody.
		principal = assumed.String() + "/" + sessionName
	}
	return session{role, principal, id, secret.New(key), secret.New(token), c.Expiration.UTC()}, nil
}

const otherServer = "something other than AWS may have answered: look at AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL and the proxy"
