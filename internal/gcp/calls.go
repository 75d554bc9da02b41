package gcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/iamcredentials/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/sts/v1"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
)

// grant is a token and its expiry, which is the zero time if Google did not say.
type grant struct {
	token   secret.Text
	expires time.Time
}

// options makes a Google client that sends to endpoint and nowhere else. Without an explicit endpoint the environment
// (GOOGLE_CLOUD_UNIVERSE_DOMAIN) could send the token elsewhere; without WithoutAuthentication the client looks for
// credentials of its own; without a logger that discards, GOOGLE_SDK_GO_LOGGING_LEVEL=debug prints both tokens.
func (b *Backend) options(endpoint string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(endpoint + "/"),
		option.WithHTTPClient(b.client),
		option.WithoutAuthentication(),
		option.WithLogger(slog.New(slog.DiscardHandler)),
	}
}

// federate makes the token exchange (RFC 8693) at Google's STS.
func (b *Backend) federate(ctx context.Context, token oidc.Token) (grant, federation.Call, error) {
	call := federation.Call{Operation: "ExchangeToken", Principal: b.Provider.String()}
	doing := "exchanging the token at " + b.Provider.String()
	fail := func(err error) (grant, federation.Call, error) {
		call.Principal = ""
		return grant{}, call, err
	}
	service, err := sts.NewService(ctx, b.options(b.STSEndpoint)...)
	if err != nil {
		return fail(unmade(doing))
	}
	scopes := b.Scopes
	if b.ServiceAccount != "" {
		scopes = []string{CloudPlatform} // what impersonating asks for; the scopes go to the token that it gives
	}
	answer, err := service.V1.Token(&sts.GoogleIdentityStsV1ExchangeTokenRequest{
		GrantType:          "urn:ietf:params:oauth:grant-type:token-exchange",
		Audience:           b.Provider.audience(),
		Scope:              strings.Join(scopes, " "),
		RequestedTokenType: "urn:ietf:params:oauth:token-type:access_token",
		SubjectToken:       token.Reveal(),
		SubjectTokenType:   subjectTokenType,
	}).Context(ctx).Do()
	if err != nil {
		return fail(b.refused(ctx, token.Claims, securityTokenService(), doing, b.STSEndpoint, err))
	}
	// The client gives nil for an answer that is the JSON null.
	if answer == nil || !isToken(answer.AccessToken) {
		return fail(unusable(doing, "no access token"))
	}
	expires, ok := federation.EndOf(float64(answer.ExpiresIn))
	switch {
	case !ok:
		return fail(unusable(doing, "a lifetime that no token has"))
	case answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "Bearer"):
		return fail(unusable(doing, "a token_type other than Bearer"))
	}
	call.Expires = expires
	return grant{secret.New(answer.AccessToken), expires}, call, nil
}

// impersonate asks the IAM Credentials API for the service account's token.
func (b *Backend) impersonate(ctx context.Context, claims oidc.Claims, federated secret.Text) (grant, federation.Call, error) {
	call := federation.Call{Operation: "GenerateAccessToken"}
	doing := "impersonating " + b.ServiceAccount
	service, err := iamcredentials.NewService(ctx, b.options(b.IAMCredentialsEndpoint)...)
	if err != nil {
		return grant{}, call, unmade(doing)
	}
	request := service.Projects.ServiceAccounts.GenerateAccessToken("projects/-/serviceAccounts/"+b.ServiceAccount,
		&iamcredentials.GenerateAccessTokenRequest{
			Delegates: b.delegates(),
			Lifetime:  fmt.Sprintf("%ds", int64(b.Lifetime/time.Second)),
			Scope:     b.Scopes,
		}).Context(ctx)
	request.Header().Set("Authorization", "Bearer "+federated.Reveal())
	answer, err := request.Do()
	if err != nil {
		return grant{}, call, b.refused(ctx, claims, iamCredentials(), doing, b.IAMCredentialsEndpoint, err)
	}
	if answer == nil || !isToken(answer.AccessToken) {
		return grant{}, call, unusable(doing, "no access token")
	}
	expires, err := time.Parse(time.RFC3339, answer.ExpireTime)
	if err != nil || expires.IsZero() {
		return grant{}, call, unusable(doing, "no time of expiry")
	}
	call.Principal, call.Expires = b.ServiceAccount, expires.UTC()
	return grant{secret.New(answer.AccessToken), expires.UTC()}, call, nil
}

// identify asks the IAM Credentials API for an ID token of the service account.
func (b *Backend) identify(ctx context.Context, claims oidc.Claims, federated secret.Text) (grant, federation.Call, error) {
	call := federation.Call{Operation: "GenerateIdToken"}
	doing := "getting an ID token of " + b.ServiceAccount
	service, err := iamcredentials.NewService(ctx, b.options(b.IAMCredentialsEndpoint)...)
	if err != nil {
		return grant{}, call, unmade(doing)
	}
	request := service.Projects.ServiceAccounts.GenerateIdToken("projects/-/serviceAccounts/"+b.ServiceAccount,
		&iamcredentials.GenerateIdTokenRequest{Audience: b.IDTokenAudience, IncludeEmail: true, Delegates: b.delegates()}).Context(ctx)
	request.Header().Set("Authorization", "Bearer "+federated.Reveal())
	answer, err := request.Do()
	if err != nil {
		return grant{}, call, b.refused(ctx, claims, iamCredentials(), doing, b.IAMCredentialsEndpoint, err)
	}
	if answer == nil {
		return grant{}, call, unusable(doing, "no ID token")
	}
	got, err := oidc.Parse(answer.Token)
	switch {
	case err != nil || !slices.Contains(got.Claims.Audience, b.IDTokenAudience):
		return grant{}, call, unusable(doing, "no ID token for the audience")
	case !b.isOf(got):
		return grant{}, call, unusable(doing, "an ID token of another account")
	}
	call.Principal, call.Expires = b.ServiceAccount, got.Claims.Expires
	return grant{secret.New(got.Reveal()), got.Claims.Expires}, call, nil
}

// isOf reports whether an ID token is the service account's: it names the e-mail, which the request asks for, or the account's unique id.
func (b *Backend) isOf(token oidc.Token) bool {
	email, named := token.All()["email"]
	return !named || email == b.ServiceAccount || token.Claims.Subject == b.ServiceAccount
}

// delegates are the accounts as the API names them.
func (b *Backend) delegates() []string {
	var names []string
	for _, d := range b.Delegates {
		names = append(names, "projects/-/serviceAccounts/"+d)
	}
	return names
}

// subjectTokenType is the form of a Bitbucket token in RFC 8693's terms.
const subjectTokenType = "urn:ietf:params:oauth:token-type:jwt"

// isToken reports whether s has the form of a bearer token (RFC 6750, section 2.1). Google's have at most 12,288 bytes.
func isToken(s string) bool {
	return len(s) <= 64<<10 && charset.Only(strings.TrimRight(s, "="), charset.Word+".~+/-", 1, 64<<10)
}

// refused turns an error of a client into an error with hints, and keeps the status and the code of a refusal for the outcome.
func (b *Backend) refused(ctx context.Context, claims oidc.Claims, api service, doing, endpoint string, err error) error {
	explained := b.asked(claims, api).explain(ctx, doing, endpoint, err)
	var answered *googleapi.Error
	if !errors.As(err, &answered) {
		return explained
	}
	return &federation.Refusal{Status: answered.Code, Code: codeOf(answered), Err: explained}
}

// codeOf is the code of an error that Google answered with, or empty if it does not have the form of a code.
func codeOf(e *googleapi.Error) string {
	said, _ := parse(e)
	if !isCode(said.Code) {
		return ""
	}
	return said.Code
}

// asked is what is known about a request to one of the APIs.
func (b *Backend) asked(c oidc.Claims, api service) request {
	return request{
		claims: c.Pasteable(), provider: b.Provider, account: b.ServiceAccount, delegates: b.Delegates, lifetime: b.Lifetime,
		api: api, project: ProjectOf(b.ServiceAccount),
	}
}

// unmade is the error of a Google client that cannot start: the client reads its own variables for client certificates.
func unmade(doing string) error {
	return hint.New(doing+": Google's client library cannot start", "remove GOOGLE_API_USE_CLIENT_CERTIFICATE, GOOGLE_API_CERTIFICATE_CONFIG and other GOOGLE_API_… variables: client certificates are not used here")
}

func unusable(doing, what string) error {
	return hint.New(doing+": Google's answer cannot be used: "+what,
		"something other than Google may have answered: look at GCP_STS_ENDPOINT, GCP_IAMCREDENTIALS_ENDPOINT and the proxy")
}
