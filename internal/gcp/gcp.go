// Package gcp trades a step's token for Google Cloud access tokens: Google's STS gives a federated token, and, where a
// service account is named, the IAM Credentials API gives that account's token for it. Each is one request.
package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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
	"bitbucket-oidc/internal/transport"
)

// CloudPlatform is the scope of everything that IAM lets a principal do.
const CloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

// Config says whom to become.
type Config struct {
	Provider       Provider
	ServiceAccount string // e-mail; empty for direct federation
	Project        string // for later commands, or empty
	ProjectGuessed bool   // nobody gave Project: later commands keep one of their own
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

	// Trace, if not nil, is told of each attempt of a request.
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

const name = "default"

// grant is a token and when it ends; the zero time if Google did not say.
type grant struct {
	token   secret.Text
	expires time.Time
}

// Targets implements [federation.Backend]: the access token, and the ID token if there is to be one.
func (b *Backend) Targets() []federation.Target {
	t := federation.Target{
		Backend: b.Name(), Name: name, Identity: b.Provider.String(), Project: b.Project, Endpoint: host(b.STSEndpoint),
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
	got := federation.Grant{Backend: b.Name()}
	targets := b.Targets()
	way := federation.Begin(targets[0])
	federated, call, err := b.federate(ctx, token)
	way.Called(call)
	if err != nil {
		got.Outcomes = append(got.Outcomes, way.End(err))
		for _, t := range targets[1:] {
			got.Outcomes = append(got.Outcomes, federation.NotAsked(t))
		}
		return got, fmt.Errorf("gcp %s: %w", name, err)
	}
	access, principal := federated, b.Provider.String()
	var identity grant
	if b.ServiceAccount == "" {
		got.Outcomes = append(got.Outcomes, way.End(nil))
	} else {
		principal = b.ServiceAccount
		if access, identity, got.Outcomes, err = b.become(ctx, token.Claims, federated.token, way, targets[1:]); err != nil {
			return got, err
		}
	}
	files := b.files(token, access.token)
	got.Env = b.env()
	got.Credentials = append(got.Credentials, federation.Credential{
		Name: name, Principal: principal, Expires: access.expires, Lengthen: b.lengthen(), Files: paths(files),
	})
	if b.IDTokenAudience != "" {
		file := federation.File{Path: "gcp/id-token", Data: identity.token}
		files = append(files, file)
		got.Credentials = append(got.Credentials, federation.Credential{
			Name: idToken, Principal: principal, Expires: identity.expires, Files: []string{file.Path},
			Lengthen: "Google fixes it: call the pipe again before the token is needed",
		})
	}
	got.Files = files
	for _, registry := range b.Registries {
		got.Credentials = append(got.Credentials, federation.Credential{
			Name: registry, Principal: principal, Expires: access.expires, Lengthen: b.lengthen(), Files: []string{federation.DockerConfig},
		})
		// The user name is a fixed one (Artifact Registry, "Configure authentication to Artifact Registry for Docker").
		got.Registries = append(got.Registries, federation.Registry{Host: registry, Username: "oauth2accesstoken", Password: access.token})
	}
	return got, nil
}

func paths(files []federation.File) []string {
	var all []string
	for _, f := range files {
		all = append(all, f.Path)
	}
	return all
}

const idToken = "id-token"

func (b *Backend) lengthen() string {
	if b.ServiceAccount == "" {
		return "a federated token ends with the step's own: set GCP_SERVICE_ACCOUNT, whose tokens last GCP_TOKEN_LIFETIME"
	}
	return "raise GCP_TOKEN_LIFETIME (over 1h where the organisation allows it)"
}

// become gets the service account's tokens side by side. The way to its access token has begun; more is the target of the ID
// token, if there is to be one.
func (b *Backend) become(
	ctx context.Context, claims oidc.Claims, federated secret.Text, way *federation.Attempt, more []federation.Target,
) (access, identity grant, outcomes []federation.Outcome, err error) {
	outcomes = make([]federation.Outcome, 1+len(more))
	errs := make([]error, 1+len(more))
	var all sync.WaitGroup
	all.Go(func() {
		var call federation.Call
		var err error
		access, call, err = b.impersonate(ctx, claims, federated)
		way.Called(call)
		if outcomes[0] = way.End(err); err != nil {
			errs[0] = fmt.Errorf("gcp %s: %w", name, err)
		}
	})
	if len(more) > 0 {
		all.Go(func() {
			way := federation.Begin(more[0])
			var call federation.Call
			var err error
			identity, call, err = b.identify(ctx, claims, federated)
			way.Called(call)
			if outcomes[1] = way.End(err); err != nil {
				errs[1] = fmt.Errorf("gcp %s: %w", idToken, err)
			}
		})
	}
	all.Wait()
	return access, identity, outcomes, errors.Join(errs...)
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
		Audience:           b.Provider.Audience(),
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
	if err != nil {
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
	if err != nil || !slices.Contains(got.Claims.Audience, b.IDTokenAudience) {
		return grant{}, call, unusable(doing, "no ID token for the audience")
	}
	call.Principal, call.Expires = b.ServiceAccount, got.Claims.Expires
	return grant{secret.New(got.Reveal()), got.Claims.Expires}, call, nil
}

// refused turns an error of a client into one with hints, and keeps of an answer no what an outcome has of it.
func (b *Backend) refused(ctx context.Context, claims oidc.Claims, api service, doing, endpoint string, err error) error {
	explained := b.asked(claims, api).explain(ctx, doing, endpoint, err)
	var answered *googleapi.Error
	if !errors.As(err, &answered) {
		return explained
	}
	return &federation.Refusal{Status: answered.Code, Code: codeOf(answered), Err: explained}
}

// codeOf is the code of an error that Google answered with, if it has the form of one.
func codeOf(e *googleapi.Error) string {
	said, _ := parse(e)
	if !isCode(said.Code) {
		return ""
	}
	return said.Code
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

// unmade is the error of a Google client that cannot even be made: it reads variables of its own for client certificates.
func unmade(doing string) error {
	return hint.New(doing+": Google's client library cannot start", "remove GOOGLE_API_USE_CLIENT_CERTIFICATE, GOOGLE_API_CERTIFICATE_CONFIG and other GOOGLE_API_… variables: client certificates are not used here")
}

func unusable(doing, what string) error {
	return hint.New(doing+": Google's answer cannot be used: "+what,
		"something other than Google may have answered: look at GCP_STS_ENDPOINT, GCP_IAMCREDENTIALS_ENDPOINT and the proxy")
}

// asked is what is known of a request to one of the APIs.
func (b *Backend) asked(c oidc.Claims, api service) request {
	return request{claims: c.Pasteable(), provider: b.Provider, account: b.ServiceAccount, delegates: b.Delegates, lifetime: b.Lifetime, api: api, project: ProjectOf(b.ServiceAccount)}
}

func (b *Backend) files(token oidc.Token, access secret.Text) []federation.File {
	return []federation.File{
		{Path: "gcp/credentials.json", Data: b.credentials()},
		// No line break at the end of a token: the clients for Python, Node.js and Java would send it.
		{Path: "gcp/subject-token", Data: secret.New(token.Reveal())},
		{Path: "gcp/access-token", Data: access},
		{Path: "gcp/boto", Data: b.boto()},
	}
}

// externalAccount is Google's credential configuration (AIP-4117), with the members that `gcloud iam
// workload-identity-pools create-cred-config` writes, in its order.
type externalAccount struct {
	UniverseDomain       string           `json:"universe_domain"`
	Type                 string           `json:"type"`
	Audience             string           `json:"audience"`
	SubjectTokenType     string           `json:"subject_token_type"`
	TokenURL             string           `json:"token_url"`
	CredentialSource     credentialSource `json:"credential_source"`
	ImpersonationURL     string           `json:"service_account_impersonation_url,omitempty"`
	ImpersonationOptions *impersonation   `json:"service_account_impersonation,omitempty"`
	// TokenInfoURL is for direct federation: without it gcloud and bq ask the public host who they are.
	TokenInfoURL string `json:"token_info_url,omitempty"`
}

type credentialSource struct {
	File   string            `json:"file"`
	Format map[string]string `json:"format"`
}

type impersonation struct {
	Lifetime int64 `json:"token_lifetime_seconds"`
}

// impersonated is Google's credential configuration for a chain of service accounts, which an external account alone
// cannot carry.
type impersonated struct {
	UniverseDomain   string          `json:"universe_domain"`
	Type             string          `json:"type"`
	ImpersonationURL string          `json:"service_account_impersonation_url"`
	Delegates        []string        `json:"delegates"`
	Source           externalAccount `json:"source_credentials"`
}

func (b *Backend) credentials() secret.Text {
	account := externalAccount{
		UniverseDomain:   b.Universe,
		Type:             "external_account",
		Audience:         b.Provider.Audience(),
		SubjectTokenType: subjectTokenType,
		TokenURL:         b.STSEndpoint + "/v1/token",
		CredentialSource: credentialSource{b.Path("gcp/subject-token"), map[string]string{"type": "text"}},
	}
	var file any = &account
	url := b.IAMCredentialsEndpoint + "/v1/projects/-/serviceAccounts/" + b.ServiceAccount + ":generateAccessToken"
	switch {
	case b.ServiceAccount == "":
		account.TokenInfoURL = b.STSEndpoint + "/v1/introspect"
	case len(b.Delegates) > 0:
		file = impersonated{b.Universe, "impersonated_service_account", url, b.delegates(), account}
	default:
		account.ImpersonationURL = url
		account.ImpersonationOptions = &impersonation{int64(b.Lifetime / time.Second)}
	}
	data, _ := json.MarshalIndent(file, "", "  ") // strings and numbers: cannot fail
	return secret.New(string(data) + "\n")
}

// boto signs gsutil in, which looks at none of the other files.
func (b *Backend) boto() secret.Text {
	file := strings.ReplaceAll(b.Path("gcp/credentials.json"), "%", "%%") // a value of Python's configparser
	text := "[Credentials]\ngs_external_account_file = " + file + "\n"
	if b.Project != "" {
		text += "\n[GSUtil]\ndefault_project_id = " + b.Project + "\n"
	}
	return secret.New(text)
}

// env selects the credential file in every client and unsets what would win over it. gcloud prefers an access token to a
// credential file, and would not refresh it.
func (b *Backend) env() []federation.Var {
	vars := []federation.Var{{Name: "GOOGLE_APPLICATION_CREDENTIALS", File: "gcp/credentials.json"}}
	rivals := []string{
		"GOOGLE_CREDENTIALS", "GOOGLE_BACKEND_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON",
		"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_BACKEND_IMPERSONATE_SERVICE_ACCOUNT", "FIREBASE_TOKEN",
		"CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "CLOUDSDK_AUTH_DISABLE_CREDENTIALS",
		// HMAC keys, with which gcloud storage and gsutil sign in place of sending a token.
		"CLOUDSDK_STORAGE_GS_XML_ACCESS_KEY_ID", "CLOUDSDK_STORAGE_GS_XML_SECRET_ACCESS_KEY", "GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY",
	}
	if len(b.Delegates) == 0 {
		vars = append(vars, federation.Var{Name: "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", File: "gcp/credentials.json"})
		rivals = append(rivals, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")
	} else { // gcloud cannot follow a file of this type
		vars = append(vars, federation.Var{Name: "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", File: "gcp/access-token"})
		rivals = append(rivals, "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE")
	}
	vars = append(vars, federation.Var{Name: "BOTO_CONFIG", File: "gcp/boto"})
	if b.Project != "" {
		vars = append(vars, b.projectVars()...)
	}
	for _, name := range rivals {
		vars = append(vars, federation.Var{Name: name, Unset: true})
	}
	return vars
}

// projectVars give later commands the project. Where it was guessed, one that the step has in any of the four counts for all.
func (b *Backend) projectVars() []federation.Var {
	names := []string{"CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_PROJECT"}
	var vars []federation.Var
	for i, name := range names {
		v := federation.Var{Name: name, Value: b.Project}
		if b.ProjectGuessed {
			v.Guess = append([]string{name}, slices.Delete(slices.Clone(names), i, i+1)...)
		}
		vars = append(vars, v)
	}
	return vars
}
