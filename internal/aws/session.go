package aws

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/middleware"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
)

// longestChained is the longest duration of a session that was asked for with another session (IAM user guide, "Role chaining").
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

// obtainAll assumes the role of each profile, and after it the roles of its chain.
func (b *Backend) obtainAll(ctx context.Context, token oidc.Token, profiles []federation.Target) ([]session, []federation.Outcome, error) {
	first := b.firstCalls(ctx, token)
	return sideBySide(profiles, func(i int, way *federation.Attempt) (session, error) {
		role := b.Roles[i]
		s, call, err := first[b.firstOf(role)]()
		way.Called(call)
		s.role = role
		for i := range role.Chain {
			if err == nil {
				s, call, err = b.assumeNext(ctx, token.Claims, s, i)
				way.Called(call)
			}
		}
		return s, err
	})
}

// A first is what distinguishes one exchange of the token from another. Roles that begin with the same exchange share it.
type first struct {
	role     ARN
	narrowed bool // by the session policies, which a chain's first session must not have: they are for its last one
}

func (b *Backend) firstOf(r Role) first {
	return first{r.ARN, len(r.Chain) == 0 && (b.Policy != "" || len(b.PolicyARNs) > 0)}
}

type firstCall = func() (session, federation.Call, error)

// firstCalls are the exchanges of the token. Each is made once, when the first role needs it.
func (b *Backend) firstCalls(ctx context.Context, token oidc.Token) map[first]firstCall {
	durations := map[first]time.Duration{}
	for _, r := range b.Roles {
		duration := b.Duration
		if len(r.Chain) > 0 {
			duration = min(duration, longestChained) // it is only needed to ask for the next one
		}
		f := b.firstOf(r)
		durations[f] = max(durations[f], duration)
	}
	calls := map[first]firstCall{}
	for f, duration := range durations {
		var once sync.Once
		var s session
		var call federation.Call
		var err error
		calls[f] = func() (session, federation.Call, error) {
			once.Do(func() { s, call, err = b.assumeWithToken(ctx, token, f, duration) })
			return s, call, err
		}
	}
	return calls
}

func (b *Backend) assumeWithToken(ctx context.Context, token oidc.Token, f first, duration time.Duration) (session, federation.Call, error) {
	call := federation.Call{Operation: "AssumeRoleWithWebIdentity"}
	doing := "assuming " + f.role.String()
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          sdk.String(f.role.String()),
		RoleSessionName:  &b.SessionName,
		WebIdentityToken: sdk.String(token.Reveal()),
		DurationSeconds:  seconds(duration),
	}
	if f.narrowed {
		in.Policy, in.PolicyArns = b.policies()
	}
	out, err := b.sts(sdk.AnonymousCredentials{}).AssumeRoleWithWebIdentity(ctx, in)
	if err != nil {
		call.RequestID = failedRequest(err)
		return session{}, call, noted(err, request{claims: token.Claims.Pasteable(), role: f.role, duration: duration}.explain(ctx, doing, b.host(), err))
	}
	call.RequestID = requestID(out.ResultMetadata)
	s, err := b.read(&call, f.role, out.Credentials, out.AssumedRoleUser)
	if err != nil {
		return session{}, call, fmt.Errorf("%s: %w", doing, err)
	}
	return s, call, nil
}

// assumeNext assumes the chain's role number i with the session of the role before it.
func (b *Backend) assumeNext(ctx context.Context, claims oidc.Claims, from session, i int) (session, federation.Call, error) {
	call := federation.Call{Operation: "AssumeRole"}
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
		call.RequestID = failedRequest(err)
		return session{}, call, noted(err, request{
			claims: claims.Pasteable(), role: next, duration: min(b.Duration, longestChained),
			from: &previous, externalID: b.ExternalID, sourceIdentity: b.SourceIdentity, tagged: len(b.Tags) > 0,
		}.explain(ctx, doing, b.host(), err))
	}
	call.RequestID = requestID(out.ResultMetadata)
	s, err := b.read(&call, next, out.Credentials, out.AssumedRoleUser)
	if err != nil {
		return session{}, call, fmt.Errorf("%s: %w", doing, err)
	}
	s.role = role
	return s, call, nil
}

// noted keeps the status and the code of a refusal for the outcome.
func noted(answered, explained error) error {
	said := answer(answered)
	if said.Status == 0 {
		return explained
	}
	return &federation.Refusal{Status: said.Status, Code: said.Code, Err: explained}
}

// requestID is the id of a request in CloudTrail; empty if the id does not have AWS's form.
func requestID(answer middleware.Metadata) string {
	id, _ := awsmiddleware.GetRequestIDMetadata(answer)
	return checkedRequest(id)
}

func failedRequest(err error) string {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		return ""
	}
	return checkedRequest(response.ServiceRequestID())
}

func checkedRequest(id string) string {
	if !charset.Only(id, charset.Word+"-", 1, 128) {
		return ""
	}
	return id
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

// endpointHost is the host that receives the token; empty where only the SDK knows it.
func (b *Backend) endpointHost() string {
	if b.Endpoint != "" {
		return hostOf(b.Endpoint)
	}
	host, err := b.stsHost(b.Region)
	if err != nil {
		return ""
	}
	return host
}

// stsHost is STS's host in a region, by the SDK's rules.
func (b *Backend) stsHost(region string) (string, error) {
	resolved, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sts.EndpointParameters{
		Region: &region, UseFIPS: sdk.Bool(b.fips()), UseDualStack: sdk.Bool(b.dualStack()),
	})
	return resolved.URI.Host, err
}

func (b *Backend) fips() bool { return b.SDK.UseFIPSEndpoint == sdk.FIPSEndpointStateEnabled }

func (b *Backend) dualStack() bool {
	return b.SDK.UseDualStackEndpoint == sdk.DualStackEndpointStateEnabled
}

// hostOf is the host of a base URL that was checked.
func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Host
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

// isKey reports whether s could be a secret key or a session token: base64, or a JWT for servers that use one. AWS asks not
// to assume how long a token is.
func isKey(s string) bool { return charset.Only(s, charset.Word+"+/=.:~@%,-", 1, 64<<10) }

// read checks STS's answer. The answer goes into INI files and onto the screen, so anything that could not come from STS
// ends the login. The ids in the answer are noted in call.
func (b *Backend) read(call *federation.Call, assumed ARN, c *types.Credentials, user *types.AssumedRoleUser) (session, error) {
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
	}
	principal := ""
	if user != nil {
		principal = sdk.ToString(user.Arn)
		if sessionID := sdk.ToString(user.AssumedRoleId); charset.Only(sessionID, charset.Word+":+=,.@-", 1, 193) {
			call.SessionID = sessionID
		}
	}
	account, ok := accountOf(principal)
	switch {
	case c.Expiration == nil || c.Expiration.IsZero():
		return unusable("no expiration")
	case !ok:
		if _, known := HomeRegion(assumed.Partition); known || principal != "" {
			return unusable("no ARN of an assumed role")
		}
		// A server that speaks STS's protocol in a partition of its own, such as MinIO, names nobody.
		principal = assumed.String() + "/" + b.SessionName
	}
	call.Principal, call.Account, call.CredentialID, call.Expires = principal, account, secret.New(id), c.Expiration.UTC()
	if ok && !assumed.fits(principal) {
		return unusable("it is for another partition, account or role than asked for")
	}
	return session{principal: principal, accessKeyID: id, secretKey: secret.New(key), sessionToken: secret.New(token), expires: c.Expiration.UTC()}, nil
}

const otherServer = "something other than AWS may have answered: look at AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL and the proxy"
