package cloud

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// postJSON sends JSON with a bearer token, empty for none.
func postJSON(t *testing.T, to, bearer, body string) googleAnswer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	status, answer := do(t, r)
	return decodeAnswer(t, status, answer)
}

// federated is a token of the default step for the default world.
func federated(t *testing.T, world *World) string {
	t.Helper()
	answer := exchange(t, world, tokenExchange(stepToken(world.Issuer, nil)), nil)
	if answer.status != http.StatusOK {
		t.Fatal(answer.Description)
	}
	return answer.AccessToken
}

func TestServiceAccountTokens(t *testing.T) {
	world := testWorld(t)
	base := world.IAMCredentials.URL + "/v1/projects/-/serviceAccounts/"
	const middle, end = "middle@my-project.iam.gserviceaccount.com", "end@my-project.iam.gserviceaccount.com"
	world.GCP.SetServiceAccount(ServiceAccount{Email: middle, Members: []string{"serviceAccount:" + ServiceAccountEmail}})
	world.GCP.SetServiceAccount(ServiceAccount{Email: end, Members: []string{"serviceAccount:" + middle}, LongLifetimes: true})
	const scope = `"scope":["https://www.googleapis.com/auth/cloud-platform"]`
	delegates := `"delegates":["projects/-/serviceAccounts/` + ServiceAccountEmail + `","projects/-/serviceAccounts/` + middle + `"]`
	token := federated(t, world)

	tests := []struct {
		name, account, bearer, body string
		status                      int
		text                        string
	}{
		{"good", ServiceAccountEmail, token, `{` + scope + `,"lifetime":"3600s"}`, 200, ""},
		{"no lifetime", ServiceAccountEmail, token, `{` + scope + `}`, 200, ""},
		{"delegates", end, token, `{` + scope + `,` + delegates + `,"lifetime":"43200s"}`, 200, ""},
		{"no bearer", ServiceAccountEmail, "", `{` + scope + `}`, 401, "UNAUTHENTICATED"},
		{"unknown bearer", ServiceAccountEmail, "ya29.x", `{` + scope + `}`, 401, "UNAUTHENTICATED"},
		{"step's token as bearer", ServiceAccountEmail, stepToken(world.Issuer, nil), `{` + scope + `}`, 401, "UNAUTHENTICATED"},
		{"no scope", ServiceAccountEmail, token, `{}`, 400, "INVALID_ARGUMENT"},
		{"scope as string", ServiceAccountEmail, token, `{"scope":"x"}`, 400, "INVALID_ARGUMENT"},
		{"unknown member", ServiceAccountEmail, token, `{` + scope + `,"x":1}`, 400, "INVALID_ARGUMENT"},
		{"lifetime as number", ServiceAccountEmail, token, `{` + scope + `,"lifetime":3600}`, 400, "INVALID_ARGUMENT"},
		{"lifetime in minutes", ServiceAccountEmail, token, `{` + scope + `,"lifetime":"60m"}`, 400, "INVALID_ARGUMENT"},
		{"no lifetime at all", ServiceAccountEmail, token, `{` + scope + `,"lifetime":"0s"}`, 400, "INVALID_ARGUMENT"},
		{"over an hour", ServiceAccountEmail, token, `{` + scope + `,"lifetime":"3601s"}`, 403, "can not have lifetimes of more than 1 hour"},
		{"over twelve hours", end, token, `{` + scope + `,` + delegates + `,"lifetime":"43201s"}`, 400, "INVALID_ARGUMENT"},
		{"not a member", end, token, `{` + scope + `}`, 403, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."},
		{"no such account", "x" + end, token, `{` + scope + `}`, 403, "IAM_PERMISSION_DENIED"},
		{"a link short", end, token, `{` + scope + `,"delegates":["projects/-/serviceAccounts/` + ServiceAccountEmail + `"]}`, 403, "IAM_PERMISSION_DENIED"},
		{"bare delegate", end, token, `{` + scope + `,"delegates":["` + ServiceAccountEmail + `"]}`, 400, "INVALID_ARGUMENT"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := postJSON(t, base+test.account+":generateAccessToken", test.bearer, test.body)
			if answer.status != test.status || !strings.Contains(answer.body, test.text) {
				t.Errorf("%d %v, want %d with %q", answer.status, answer.Error, test.status, test.text)
			}
			if test.status == 200 && world.GCP.Caller(answer.Token) != "serviceAccount:"+test.account {
				t.Error("the token does not stand for the account")
			}
		})
	}

	narrow := exchange(t, world, with(tokenExchange(stepToken(world.Issuer, nil)), "scope=https://www.googleapis.com/auth/devstorage.read_only"), nil)
	if answer := postJSON(t, base+ServiceAccountEmail+":generateAccessToken", narrow.AccessToken, `{`+scope+`}`); answer.status != http.StatusForbidden {
		t.Errorf("federated token of too narrow a scope: %d", answer.status)
	}
}

func TestIDToken(t *testing.T) {
	world := testWorld(t)
	to := world.IAMCredentials.URL + "/v1/projects/-/serviceAccounts/" + ServiceAccountEmail + ":generateIdToken"
	token := federated(t, world)
	if answer := postJSON(t, to, token, `{}`); answer.status != http.StatusBadRequest {
		t.Errorf("no audience: %d", answer.status)
	}
	for _, includeEmail := range []bool{true, false} {
		body, _ := json.Marshal(map[string]any{"audience": "https://service.example", "includeEmail": includeEmail})
		answer := postJSON(t, to, token, string(body))
		identity, err := parseAssertion(answer.IDToken)
		if err != nil {
			t.Fatal(err)
		}
		key, err := world.GCP.signing()
		if err != nil {
			t.Fatal(err)
		}
		if err := identity.verify(key); err != nil {
			t.Error(err)
		}
		if got := identity.audience(); !slices.Equal(got, []string{"https://service.example"}) {
			t.Errorf("aud = %v", got)
		}
		if got := identity.text("email") == ServiceAccountEmail; got != includeEmail {
			t.Errorf("includeEmail %v: e-mail there: %v", includeEmail, got)
		}
	}
}

func TestTokensExpire(t *testing.T) {
	world := testWorld(t)
	world.GCP.Configure(func(c *GCPConfig) { c.Lifetime = 2 * time.Second })
	token := federated(t, world)
	get := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, world.GoogleSTS.URL+"/storage/v1/b/bucket/o", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		status, _ := do(t, r)
		return status
	}
	active := func() any {
		_, body := postForm(t, world.GoogleSTS.URL+"/v1/introspect", url.Values{"token": {token}}, nil)
		var answer map[string]any
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		return answer["active"]
	}
	if status := get(); status != http.StatusOK || active() != true {
		t.Errorf("fresh token: %d", status)
	}
	if n := CountRequests(world.GoogleSTS.Requests(), "by=principal://iam.googleapis.com/"); n != 2 {
		t.Errorf("the caller is on record of %d requests, want 2", n)
	}
	world.GCP.Configure(func(c *GCPConfig) { c.Now = func() time.Time { return time.Now().Add(2 * time.Second) } })
	if status := get(); status != http.StatusUnauthorized || active() != false {
		t.Errorf("expired token: %d", status)
	}
}
