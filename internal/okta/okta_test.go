package okta

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/oidc/oidctest"
)

const repository = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"

func token(t *testing.T) oidc.Token {
	t.Helper()
	return oidctest.Token(t, `{"iss":"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		"aud":["ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45","okta"],
		"sub":"`+repository+`:{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}","iat":1000,"exp":4600}`)
}

// backend talks to a server that gives one answer.
func backend(t *testing.T, status int, answer string) (*Backend, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Retry-After", "0")
		if r.URL.EscapedPath() != "/v1/teams/acme%2Fx/workloads/bit%20bucket/issue_token" {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return New(Config{OrgURL: server.URL, Team: "acme/x", Connection: "bit bucket", CredentialType: "JWT"}), &requests
}

// TestMeanings has a row for each status that the SDK tells apart, and for those that anything may answer.
func TestMeanings(t *testing.T) {
	t.Parallel()
	const refused = `{"code":400,"error":"canary","error_cause":["canary"]}`
	conditions := []string{
		"iss EQUALS https://api.bitbucket.org/2.0/workspaces/acme/", "aud EQUALS ari:cloud:bitbucket::workspace/7baee083", "repositoryUuid EQUALS " + repository,
		"ACTIVE", "OKTA_CREDENTIAL_TYPE",
	}
	for _, c := range []struct {
		status   int
		answer   string
		says     string
		hints    []string
		requests int32
	}{
		{400, refused, "status 400: Okta does not accept the step's token", conditions, 1},
		{401, refused, "status 401: Okta does not accept the step's token", conditions, 1},
		{403, refused, "status 403: Okta does not accept the step's token", conditions, 1},
		{404, refused, "no such team or workload connection", []string{"OKTA_ORG_URL", "OKTA_TEAM", "OKTA_WORKLOAD_CONNECTION"}, 1},
		{409, "<html>canary</html>", "status 409", []string{"OKTA_ORG_URL"}, 1},
		{429, refused, "status 429", []string{"TIMEOUT"}, 5},
		{500, refused, "status 500", []string{"TIMEOUT"}, 5},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, c.status, c.answer)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, "okta default: asking workload connection bit bucket of team acme/x: ", c.says, c.hints...)
			if requests.Load() != c.requests {
				t.Errorf("%d requests, want %d", requests.Load(), c.requests)
			}
		})
	}
}

func TestUnusableAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"HTML":                 "<html>canary</html>",
		"nothing":              "",
		"a list":               "[]",
		"null":                 "null",
		"no token":             `{"access_token":"canary"}`,
		"an empty token":       `{"token":""}`,
		"a token of two lines": `{"token":"canary\ncanary"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, 200, answer)
			_, err := b.Exchange(t.Context(), token(t))
			hinttest.Check(t, err, "okta default: ", "")
			if requests.Load() != 1 {
				t.Errorf("%d requests, want 1", requests.Load())
			}
		})
	}
}

// TestExpires: the answer does not say when its token ends. A token in the form of a JWT does; another one is taken too.
func TestExpires(t *testing.T) {
	t.Parallel()
	for issued, want := range map[string]time.Time{
		oidctest.JWT(`{"iss":"https://acme.pam.okta.com","aud":"acme","sub":"bitbucket","exp":1900000000}`): time.Unix(1900000000, 0).UTC(),
		"opaque":                           {},
		oidctest.JWT(`{"exp":1900000000}`): {}, // no claim that a token must have
	} {
		b, _ := backend(t, 200, `{"token":"`+issued+`"}`)
		got, err := b.Exchange(t.Context(), token(t))
		if err != nil {
			t.Fatal(err)
		}
		c := got.Credentials[0]
		if !c.Expires.Equal(want) || fmt.Sprint(c.Files) != "[okta/token]" || got.Files[0].Data.Reveal() != issued {
			t.Errorf("credentials %v expire at %v, want %v", c, c.Expires, want)
		}
		if env := fmt.Sprint(got.Env); env != fmt.Sprintf("[{OPA_ADDR %s  false []  } {SFT_TEAM acme/x  false []  } {OPA_TOKEN   false [] okta/token }]", b.OrgURL) {
			t.Errorf("env %s", env)
		}
	}
}

// TestTargetOfMaps: an access map names a connection by its address.
func TestTargetOfMaps(t *testing.T) {
	b := New(Config{OrgURL: "https://acme.pam.okta.com", Team: "acme", Connection: "pipelines"})
	if got, want := b.Targets()[0].Resource, "https://acme.pam.okta.com/acme/pipelines"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
