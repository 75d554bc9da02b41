package gcp

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/oidc/oidctest"
)

const (
	providerName = "projects/210987654321/locations/global/workloadIdentityPools/pipelines/providers/bitbucket"
	account      = "deploy@my-project.iam.gserviceaccount.com"
	federated    = `{"access_token":"ya29.federated","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","expires_in":3599}`
)

func token(t *testing.T) oidc.Token {
	t.Helper()
	return oidctest.Token(t, `{
		"iss":"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		"aud":"ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45",
		"sub":"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}:{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}",
		"iat":1000,"exp":4600}`)
}

// backend talks to a server that gives each answer in turn, the last one from then on.
func backend(t *testing.T, serviceAccount string, status int, answers ...string) (*Backend, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "0")
		if n >= len(answers) {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, answers[min(n, len(answers))-1])
	}))
	t.Cleanup(server.Close)
	provider, err := ParseProvider(providerName)
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		Provider: provider, ServiceAccount: serviceAccount, Lifetime: 2 * time.Hour, Scopes: []string{CloudPlatform}, Universe: "googleapis.com",
		STSEndpoint: server.URL, IAMCredentialsEndpoint: server.URL, Path: func(file string) string { return "/build/" + file },
	}), &requests
}

func oauth(code, description string) string {
	return fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, description)
}

func google(status int, code, message string) string {
	return fmt.Sprintf(
		`{"error":{"code":%d,"status":%q,"message":%q,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM_PERMISSION_DENIED"}]}}`,
		status, code, message,
	)
}

// TestMeanings has a row for each error that Google documents or that its users report.
func TestMeanings(t *testing.T) {
	const member = "principalSet://iam.googleapis.com/projects/210987654321/locations/global/workloadIdentityPools/pipelines/attribute.deployment/" +
		"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"
	for _, c := range []struct {
		name     string
		status   int
		answers  []string // of STS, and then of IAM Credentials
		says     string
		hints    []string
		requests int32
	}{
		{
			name: "condition", status: 400,
			answers: []string{oauth("unauthorized_client", "The given credential is rejected by the attribute condition.")},
			says:    "unauthorized_client: the provider's attribute condition rejects this step",
			hints: []string{
				"--attribute-condition=\"assertion.repositoryUuid == '{2e9e429c", "google.subject=assertion.sub", member,
				"--allowed-audiences=ari:",
			},
			requests: 1,
		},
		{
			name: "provider", status: 400,
			answers: []string{
				oauth("invalid_target", "The target service indicated by the \"audience\" parameters is invalid. canary"),
			},
			says: "does not exist, or it is disabled or deleted",
			hints: []string{
				"providers describe projects/210987654321/locations/global/workloadIdentityPools/pipelines/providers/bitbucket",
			},
			requests: 1,
		},
		{
			name: "subject", status: 400,
			answers: []string{
				oauth("invalid_request", "The size of mapped attribute google.subject exceeds the 127 bytes limit. canary"),
			},
			says: "more than 127 bytes", hints: []string{"google.subject=assertion.sub"}, requests: 1,
		},
		{
			name: "name", status: 400, answers: []string{oauth("invalid_request", "Invalid value for \"audience\". canary")},
			says: "does not know this provider name", hints: []string{"GCP_WORKLOAD_IDENTITY_PROVIDER"}, requests: 1,
		},
		{
			name: "audience", status: 400,
			answers: []string{
				oauth("invalid_grant", "The audience in ID Token [canary] does not match the expected audience x"),
			},
			says:     "does not allow the token's audience",
			hints:    []string{"--allowed-audiences=ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45", member},
			requests: 1,
		},
		{
			name: "issuer", status: 400,
			answers: []string{oauth("invalid_grant", "The issuer in ID Token canary does not match the expected ones: y")},
			says:    "another issuer", hints: []string{"--issuer-uri=https://api.bitbucket.org/2.0/workspaces/acme/"}, requests: 1,
		},
		{
			name: "keys", status: 400,
			answers: []string{oauth("invalid_grant", "Error connecting to the given credential's issuer.")},
			says:    "cannot reach the provider's issuer", hints: []string{"--issuer-uri="}, requests: 1,
		},
		{
			name: "stale", status: 400, answers: []string{oauth("invalid_grant", "ID Token issued at 1 is stale to sign-in.")},
			says: "the token has expired", hints: []string{"expired at 1970-01-01T01:16:40Z"}, requests: 1,
		},
		{
			name: "grant", status: 400, answers: []string{oauth("invalid_grant", "canary")}, says: "does not accept the token",
			hints: []string{"issuer https://api.bitbucket.org", member}, requests: 1,
		},
		{
			name: "request", status: 400, answers: []string{oauth("invalid_request", "canary")},
			says: "does not accept the exchange", hints: []string{member}, requests: 1,
		},
		{
			name: "quota", status: 429, answers: []string{oauth("quota_exceeded", "The request was throttled canary")},
			says: "throttles", hints: []string{"TIMEOUT"}, requests: 5,
		},
		{
			name: "unavailable", status: 503, answers: []string{google(503, "UNAVAILABLE", "canary")}, says: "status 503",
			hints: []string{"status.cloud.google.com"}, requests: 5,
		},
		{
			name: "denied", status: 403,
			answers: []string{
				federated,
				google(
					403, "PERMISSION_DENIED",
					"Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist). canary",
				),
			},
			says: "PERMISSION_DENIED: this step may not impersonate",
			hints: []string{
				"add-iam-policy-binding " + account + " --role=roles/iam.workloadIdentityUser",
				"--member='" + member + "' --project=my-project", "braces",
			},
			requests: 2,
		},
		{
			name: "lifetime", status: 403,
			answers: []string{
				federated,
				google(
					403, "PERMISSION_DENIED",
					"Access tokens for service account canary can not have lifetimes of more than 1 hour. Use the Org Policy "+
						"Constraint",
				),
			},
			says:     "longer than an hour",
			hints:    []string{"constraints/iam.allowServiceAccountCredentialLifetimeExtension", "GCP_TOKEN_LIFETIME (now 2h0m0s)"},
			requests: 2,
		},
		{
			name: "no account", status: 404, answers: []string{federated, google(404, "NOT_FOUND", "canary")},
			says: "the service account does not exist", hints: []string{"misspelt"}, requests: 2,
		},
		{
			name: "argument", status: 400,
			answers: []string{federated, google(400, "INVALID_ARGUMENT", "Request contains an invalid argument. canary")},
			says:    "does not accept the request", hints: []string{"GCP_SCOPES"}, requests: 2,
		},
		{
			name: "unauthenticated", status: 401, answers: []string{federated, google(401, "UNAUTHENTICATED", "canary")},
			says: "federated token was not accepted", hints: []string{"GCP_IAMCREDENTIALS_ENDPOINT"}, requests: 2,
		},
		{
			name: "new", status: 400, answers: []string{oauth("something_new", "canary")}, says: "something_new (status 400)",
			hints: []string{"Troubleshoot"}, requests: 1,
		},
		{
			name: "code of somebody else", status: 400, answers: []string{oauth("canary canary", "canary")},
			says: "status 400 without an error that Google has", hints: []string{"GCP_STS_ENDPOINT"}, requests: 1,
		},
		{
			name: "HTML", status: 404, answers: []string{"<html>canary</html>"},
			says: "status 404 without an error that Google has", hints: []string{"GCP_STS_ENDPOINT"}, requests: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, account, c.status, c.answers...)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, "gcp default: ", c.says, c.hints...)
			if requests.Load() != c.requests {
				t.Errorf("%d requests, want %d", requests.Load(), c.requests)
			}
		})
	}
}

func TestUnusableAnswers(t *testing.T) {
	for name, answers := range map[string][]string{
		"HTML":                     {"<html>canary</html>"},
		"nothing":                  {""},
		"null":                     {"null"},
		"null from IAM":            {federated, "null"},
		"a list":                   {"[]"},
		"half of it":               {federated[:40]},
		"no token":                 {`{"expires_in":3599}`},
		"a token of two lines":     {`{"access_token":"canary\ncanary","expires_in":3599}`},
		"an expiry of text":        {`{"access_token":"canary","expires_in":"soon"}`},
		"a negative lifetime":      {`{"access_token":"canary","expires_in":-1}`},
		"a lifetime that wraps":    {`{"access_token":"canary","expires_in":18446744077309}`},
		"the longest lifetime":     {`{"access_token":"canary","expires_in":9223372036854775807}`},
		"eleven years":             {`{"access_token":"canary","expires_in":347000000}`},
		"another type of token":    {`{"access_token":"canary","expires_in":3599,"token_type":"DPoP"}`},
		"a token of equals signs":  {`{"access_token":"a` + strings.Repeat("=", 65<<10) + `","expires_in":3599}`},
		"HTML from IAM":            {federated, "<html>canary</html>"},
		"no token from IAM":        {federated, `{"expireTime":"2030-01-01T00:00:00Z"}`},
		"no time from IAM":         {federated, `{"accessToken":"canary"}`},
		"a wrong time from IAM":    {federated, `{"accessToken":"canary","expireTime":"tomorrow"}`},
		"a token with a semicolon": {federated, `{"accessToken":"can;ary","expireTime":"2030-01-01T00:00:00Z"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := backend(t, account, 200, answers...)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, "gcp default: ", "")
		})
	}
}

// TestCredentialsFile holds the file to what gcloud's create-cred-config writes (gcloud 528.0.0).
func TestCredentialsFile(t *testing.T) {
	for _, c := range []struct{ account, want string }{
		{account, `{"universe_domain":"googleapis.com","type":"external_account","audience":"//iam.googleapis.com/` + providerName + `",
			"subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"ENDPOINT/v1/token",
			"credential_source":{"file":"/build/gcp/subject-token","format":{"type":"text"}},
			"service_account_impersonation_url":"ENDPOINT/v1/projects/-/serviceAccounts/` + account + `:generateAccessToken",
			"service_account_impersonation":{"token_lifetime_seconds":7200}}`},
		{"", `{"universe_domain":"googleapis.com","type":"external_account","audience":"//iam.googleapis.com/` + providerName + `",
			"subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"ENDPOINT/v1/token",
			"credential_source":{"file":"/build/gcp/subject-token","format":{"type":"text"}},
			"token_info_url":"ENDPOINT/v1/introspect"}`},
	} {
		b, _ := backend(t, c.account, 200, federated)
		var got, want map[string]any
		if err := json.Unmarshal([]byte(b.configuration().Reveal()), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(c.want, "ENDPOINT", b.STSEndpoint)), &want); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("credentials.json:\n%v\nwant\n%v", got, want)
		}
	}
}

func TestParseProvider(t *testing.T) {
	for text, ok := range map[string]bool{
		providerName:                                                      true,
		"//iam.googleapis.com/" + providerName:                            true,
		"https://iam.googleapis.com/" + providerName:                      true,
		"http://iam.googleapis.com/" + providerName:                       false,
		"//iam.googleapis.com/https://iam.googleapis.com/" + providerName: false,
		"https:" + providerName:                                           false,
		"//iam.example.com/" + providerName:                               false,
		providerName + "/":                                                false,
		providerName + "\n":                                               false,
		strings.TrimSuffix(providerName, "/providers/bitbucket"):          false,
		strings.Replace(providerName, "210987654321", "my-project", 1):    false,
		strings.Replace(providerName, "pipelines", "pipe_lines", 1):       false,
		strings.Replace(providerName, "bitbucket", "Bitbucket", 1):        false,
		strings.Replace(providerName, "global", "europe", 1):              false,
		"": false,
	} {
		p, err := ParseProvider(text)
		if (err == nil) != ok {
			t.Errorf("ParseProvider(%q) = %v, want ok: %v", text, err, ok)
		}
		if ok && p.String() != providerName {
			t.Errorf("ParseProvider(%q) gives back %q", text, p)
		}
	}
}

func TestProjectOf(t *testing.T) {
	for email, want := range map[string]string{
		account: "my-project",
		"name@project.example.com.iam.gserviceaccount.com":   "example.com:project",
		"123456789012-compute@developer.gserviceaccount.com": "",
		"my-project@appspot.gserviceaccount.com":             "",
		"102030405060708090102":                              "",
		"":                                                   "",
	} {
		if got := ProjectOf(email); got != want {
			t.Errorf("ProjectOf(%q) = %q, want %q", email, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		check func(string) bool
		good  []string
		bad   []string
	}{
		{
			check: IsServiceAccount, good: []string{account, "102030405060708090102"},
			bad: []string{"", "deploy", "a@b/c", "a@b:generateIdToken", "A@b.example", "a@b?x", "../x@y.example"},
		},
		{
			check: charset.IsDomain, good: []string{"googleapis.com", "apis-berlin-build0.goog"},
			bad: []string{
				"", "localhost", "example.com/x", "example.com:80", "example.com#", "user@example.com", "-x.com",
				"example.com.", "exa mple.com",
			},
		},
		{
			check: IsProject, good: []string{"my-project", "example.com:project", "210987654321"},
			bad: []string{"", "x", "My-Project", "a b c d e f", "my-project\n"},
		},
		{check: IsScope, good: []string{CloudPlatform, "openid"}, bad: []string{"", "a b", "a\"b", "é"}},
	} {
		for _, s := range c.good {
			if !c.check(s) {
				t.Errorf("%q was refused", s)
			}
		}
		for _, s := range c.bad {
			if c.check(s) {
				t.Errorf("%q was taken", s)
			}
		}
	}
}
