package live

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"bitbucket-oidc/internal/collect"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// AWS says which accounts to read.
type AWS struct {
	Read bool // whether to read any

	Key    Key
	Region string // decides the partition

	// Endpoint and STSEndpoint are base URLs in place of AWS's own.
	Endpoint, STSEndpoint string

	RootCAs *x509.CertPool // authorities to trust; nil means the system's

	// RoleName is assumed in each of Accounts. Without it the account of Key is read.
	RoleName string
	Accounts []string
}

// A Key is what requests to AWS are signed with.
type Key struct {
	ID            string
	Secret, Token secret.Text

	// CredentialFile and ConfigFile have the keys of Profile, where there is no ID.
	CredentialFile, ConfigFile, Profile string
}

const (
	accountsAtOnce = 8 // each account has limits of its own, but the assuming goes through one
	rolesAtOnce    = 1000
)

func readAWS(ctx context.Context, c Config) []Reading {
	if !c.AWS.Read {
		return nil
	}
	client := c.client(c.AWS.RootCAs, judgeAWS)
	own, err := c.AWS.credentials(client)
	if c.AWS.RoleName == "" {
		if err != nil {
			return []Reading{{Source: "aws", Err: err}}
		}
		r := reader{c: c, client: c.AWS.iam(client, own), source: "aws"}
		return []Reading{r.account(ctx)}
	}
	readings := make([]Reading, len(c.AWS.Accounts))
	several(ctx, len(readings), accountsAtOnce, func(i int) {
		account := c.AWS.Accounts[i]
		readings[i] = Reading{Source: "aws:" + account, Err: err}
		if err != nil {
			return
		}
		key := c.AWS.assumed(client, own, account)
		if _, failed := key.Retrieve(ctx); failed != nil {
			readings[i].Err = refusedAWS(ctx, "sts", "assuming "+c.AWS.RoleName, failed)
			return
		}
		r := reader{c: c, client: c.AWS.iam(client, key), source: "aws:" + account, want: account}
		readings[i] = r.account(ctx)
	})
	return readings
}

// assumed is the credential of the role to read with in an account.
func (a AWS) assumed(client *http.Client, own sdk.CredentialsProvider, account string) *sdk.CredentialsCache {
	arn := "arn:" + a.partition() + ":iam::" + account + ":role/" + a.RoleName
	return sdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(a.sts(client, own), arn, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = "bitbucket-oidc", ends
	}))
}

// credentials are those that login left: keys, or a profile that SDKs renew. It looks in no other place, and starts no program.
func (a AWS) credentials(client *http.Client) (sdk.CredentialsProvider, error) {
	k := a.Key
	if k.ID != "" && k.Secret.Reveal() == "" {
		return nil, errors.New("AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not")
	}
	if k.ID != "" {
		return credentials.NewStaticCredentialsProvider(k.ID, k.Secret.Reveal(), k.Token.Reveal()), nil
	}
	if k.CredentialFile == "" {
		return nil, errNoCredential("AWS")
	}
	all, err := profiles(k.CredentialFile, k.ConfigFile)
	if err != nil {
		return nil, err
	}
	return a.profile(all, cmp.Or(k.Profile, "default"), client, 0)
}

// longestChain bounds how many profiles lead to one another.
const longestChain = 10

// profile is the credential of a profile: keys, a token file with a role, or a role behind another profile.
func (a AWS) profile(all map[string]profile, name string, client *http.Client, depth int) (sdk.CredentialsProvider, error) {
	p, ok := all[name]
	session := cmp.Or(p.session, "bitbucket-oidc")
	switch {
	case !ok || depth > longestChain:
		return nil, errNoCredential("AWS for the profile " + name)
	case p.keyID != "":
		return credentials.NewStaticCredentialsProvider(p.keyID, p.key.Reveal(), p.token.Reveal()), nil
	case p.tokenFile != "" && p.roleARN != "":
		provider := stscreds.NewWebIdentityRoleProvider(a.sts(client, sdk.AnonymousCredentials{}), p.roleARN, stscreds.IdentityTokenFile(p.tokenFile),
			func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = session })
		return sdk.NewCredentialsCache(provider), nil
	case p.source != "" && p.roleARN != "":
		source, err := a.profile(all, p.source, client, depth+1)
		if err != nil {
			return nil, err
		}
		provider := stscreds.NewAssumeRoleProvider(a.sts(client, source), p.roleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = session
			if p.externalID != "" {
				o.ExternalID = &p.externalID
			}
		})
		return sdk.NewCredentialsCache(provider), nil
	}
	return nil, errors.New("the profile " + name + " has neither keys nor a role of login's")
}

// partition is where the region lies, and home the region there that IAM is signed for.
func (a AWS) partition() string {
	switch {
	case strings.HasPrefix(a.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(a.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (a AWS) home() string {
	return map[string]string{"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}[a.partition()]
}

func (a AWS) sdk(client *http.Client, region string, key sdk.CredentialsProvider) sdk.Config {
	return sdk.Config{
		Region: region, Credentials: key, HTTPClient: client, AppID: "bitbucket-oidc",
		Retryer: func() sdk.Retryer { return sdk.NopRetryer{} }, // the transport retries
	}
}

func (a AWS) iam(client *http.Client, key sdk.CredentialsProvider) *iam.Client {
	return iam.NewFromConfig(a.sdk(client, a.home(), key), func(o *iam.Options) { o.BaseEndpoint = base(a.Endpoint) })
}

func (a AWS) sts(client *http.Client, key sdk.CredentialsProvider) *sts.Client {
	return sts.NewFromConfig(a.sdk(client, cmp.Or(a.Region, a.home()), key), func(o *sts.Options) { o.BaseEndpoint = base(a.STSEndpoint) })
}

func base(url string) *string {
	if url == "" {
		return nil
	}
	return &url
}

// A reader reads one account. Its requests go one after another, since IAM throttles an account as a whole.
type reader struct {
	c      Config
	client *iam.Client
	source string
	want   string // the account, where it is known
	docs   []Document
}

// A role is as `aws iam list-roles` prints it.
type role struct {
	RoleName                 string
	Arn                      string
	MaxSessionDuration       int32           `json:",omitempty"`
	AssumeRolePolicyDocument json.RawMessage `json:",omitempty"`
}

// account reads the roles of an account, and its providers of Bitbucket.
func (r *reader) account(ctx context.Context) Reading {
	err := errors.Join(r.roles(ctx), r.providers(ctx))
	return Reading{Source: r.source, Documents: r.docs, Err: err}
}

// roles follows every page: IAM may return fewer roles than asked for and still have more (IAM API Reference, ListRoles). The paginator
// ends without an error where a page names no next one, or itself.
func (r *reader) roles(ctx context.Context) error {
	most := int32(rolesAtOnce)
	endless := func(o *iam.ListRolesPaginatorOptions) { o.StopOnDuplicateToken = true }
	pages := iam.NewListRolesPaginator(r.client, &iam.ListRolesInput{MaxItems: &most}, endless)
	count := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return r.refused(ctx, "listing the roles", err)
		}
		if page.IsTruncated && !pages.HasMorePages() {
			return errors.New("listing the roles: a page says that there are more roles, and not where")
		}
		roles := []role{} // a page may have none
		for _, one := range page.Roles {
			roles = append(roles, kept(one))
		}
		count += len(roles)
		if err := r.here(roles); err != nil {
			return err
		}
		r.add(map[string]any{"Roles": roles})
		r.c.progress("%s: %d roles", r.source, count)
	}
	if count == 0 {
		return errors.New("listing the roles: the account has none, not even the one that reads")
	}
	return nil
}

// here takes the account from its first role, if it is not known yet, and refuses roles of another account.
func (r *reader) here(roles []role) error {
	for _, one := range roles {
		account := accountOf(one.Arn)
		if r.want == "" {
			r.want, r.source = account, "aws:"+account
		}
		if account != r.want || account == "" {
			return errors.New("listing the roles: the answer has roles of another account")
		}
	}
	return nil
}

var arnAccount = pattern.New(`^arn:aws[a-z-]*:(?:iam|sts)::(\d{12}):`)

func accountOf(arn string) string {
	if m := arnAccount.FindStringSubmatch(arn); m != nil {
		return m[1]
	}
	return ""
}

// kept is a role, without its policy if the policy names no provider of Bitbucket: nobody of Bitbucket gets in, and the rest does not
// matter here. The API returns the policy URL-encoded, which leaves letters as they are.
func kept(one types.Role) role {
	k := role{RoleName: sdk.ToString(one.RoleName), Arn: sdk.ToString(one.Arn), MaxSessionDuration: sdk.ToInt32(one.MaxSessionDuration)}
	policy := sdk.ToString(one.AssumeRolePolicyDocument)
	if collect.MentionsBitbucket([]byte(policy)) {
		k.AssumeRolePolicyDocument, _ = json.Marshal(policy) // a text: it cannot fail
	}
	return k
}

// providers reads the providers of Bitbucket.
func (r *reader) providers(ctx context.Context) error {
	all, err := r.client.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil {
		return r.refused(ctx, "listing the OIDC providers", err)
	}
	var errs []error
	for _, p := range all.OpenIDConnectProviderList {
		arn := sdk.ToString(p.Arn)
		if !strings.Contains(arn, ":oidc-provider/api.bitbucket.org/") {
			continue
		}
		got, err := r.client.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
		if err != nil {
			errs = append(errs, r.refused(ctx, "reading the OIDC provider", err))
			continue
		}
		r.add(struct {
			OpenIDConnectProviderArn, Url string
			ClientIDList, ThumbprintList  []string
		}{arn, sdk.ToString(got.Url), list(got.ClientIDList), list(got.ThumbprintList)})
	}
	r.add(map[string]any{"OpenIDConnectProviderList": arns(all.OpenIDConnectProviderList)})
	return errors.Join(errs...)
}

// arns is the list as the CLI prints it, so that its reader knows that no provider was left out.
func arns(all []types.OpenIDConnectProviderListEntry) []map[string]string {
	named := []map[string]string{}
	for _, p := range all {
		named = append(named, map[string]string{"Arn": sdk.ToString(p.Arn)})
	}
	return named
}

func list(values []string) []string { return append([]string{}, values...) }

func (r *reader) add(document any) {
	data, _ := json.Marshal(document) // texts, numbers and lists: it cannot fail
	r.docs = append(r.docs, Document{Data: data})
}

// refused is why a request of an account failed. The message of a refusal names the caller, and so the account.
func (r *reader) refused(ctx context.Context, doing string, err error) error {
	var answer smithy.APIError
	if r.want == "" && errors.As(err, &answer) {
		if m := inMessage.FindStringSubmatch(answer.ErrorMessage()); m != nil {
			r.want, r.source = m[1], "aws:"+m[1]
		}
	}
	return refusedAWS(ctx, "iam", doing, err)
}

var inMessage = pattern.New(`arn:aws[a-z-]*:(?:iam|sts)::(\d{12}):`)

func refusedAWS(ctx context.Context, host, doing string, err error) error {
	if e := transport.Unreachable(ctx, host, err); e != nil {
		return fmt.Errorf("%s: %w", doing, e)
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) || !word.MatchString(answer.ErrorCode()) {
		return errors.New(doing + ": the answer cannot be used")
	}
	return errors.New(doing + ": " + answer.ErrorCode())
}

// judgeAWS knows the codes of throttling, which AWS sends with the status 400.
func judgeAWS(status int, body []byte) transport.Fault {
	for _, code := range []string{"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"} {
		if status == http.StatusBadRequest && strings.Contains(string(body), "<Code>"+code+"</Code>") {
			return transport.Throttled
		}
	}
	return transport.Lasts
}

// LastUsed reads when roles were last used, by their ARNs: the zero time for a role that was not used, as far as IAM remembers. A role
// that cannot be read is left out: the time decides nothing.
func LastUsed(ctx context.Context, c Config, roles []string) map[string]time.Time {
	used := map[string]time.Time{}
	if !c.AWS.Read || len(roles) == 0 {
		return used
	}
	client := c.client(c.AWS.RootCAs, judgeAWS)
	own, err := c.AWS.credentials(client)
	if err != nil {
		return used
	}
	clients := map[string]*iam.Client{}
	for _, arn := range roles {
		account := accountOf(arn)
		if clients[account] == nil {
			key := own
			if c.AWS.RoleName != "" {
				key = c.AWS.assumed(client, own, account)
			}
			clients[account] = c.AWS.iam(client, key)
		}
		name := arn[strings.LastIndexByte(arn, '/')+1:]
		got, err := clients[account].GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
		if err != nil || got.Role == nil || sdk.ToString(got.Role.Arn) != arn {
			continue
		}
		used[arn] = time.Time{}
		if last := got.Role.RoleLastUsed; last != nil {
			used[arn] = sdk.ToTime(last.LastUsedDate)
		}
	}
	return used
}
