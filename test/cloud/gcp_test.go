package cloud

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const testAudience = "//iam.googleapis.com/" + ProviderName

// tokenExchange is a request that the default world grants for a good token.
func tokenExchange(token string) url.Values {
	return url.Values{
		"grant_type":           {grantTokenExchange},
		"audience":             {testAudience},
		"scope":                {scopeCloudPlatform},
		"requested_token_type": {tokenTypeAccess},
		"subject_token_type":   {tokenTypeJWT},
		"subject_token":        {token},
	}
}

// A googleAnswer is what the tests look at of any answer, of either shape.
type googleAnswer struct {
	status int
	body   string

	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	Token       string `json:"accessToken"`
	ExpireTime  string `json:"expireTime"`
	IDToken     string `json:"token"`
	Error       any    `json:"error"`
	Description string `json:"error_description"`
}

func decodeAnswer(t *testing.T, status int, body string) googleAnswer {
	t.Helper()
	answer := googleAnswer{status: status, body: body}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return answer
}

func exchange(t *testing.T, world *World, form url.Values, edit func(*http.Request)) googleAnswer {
	t.Helper()
	status, body := postForm(t, world.GoogleSTS.URL+"/v1/token", form, edit)
	return decodeAnswer(t, status, body)
}

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

func TestTokenExchange(t *testing.T) {
	world := testWorld(t)
	step := DefaultStep()
	step.Expires = step.Issued.Add(10 * time.Minute)
	token := world.Issuer.Token(step)

	form := exchange(t, world, tokenExchange(token), nil)
	if form.status != http.StatusOK || !strings.HasPrefix(form.AccessToken, "ya29.") {
		t.Fatalf("form: %d %v", form.status, form.Error)
	}
	if form.ExpiresIn > 600 || form.ExpiresIn < 590 {
		t.Errorf("expires_in = %d, want what the token has left", form.ExpiresIn)
	}
	request, _ := json.Marshal(exchangeRequest{grantTokenExchange, testAudience, scopeCloudPlatform, tokenTypeAccess, token, tokenTypeID})
	body := postJSON(t, world.GoogleSTS.URL+"/v1/token?alt=json&prettyPrint=false", "", string(request))
	if body.status != http.StatusOK || body.AccessToken == form.AccessToken {
		t.Fatalf("JSON: %d %v", body.status, body.Error)
	}
	gcloud := exchange(t, world, tokenExchange(token), func(r *http.Request) { r.SetBasicAuth("client", "no secret") })
	if gcloud.status != http.StatusOK {
		t.Errorf("with client authentication: %d %v", gcloud.status, gcloud.Error)
	}
	if got, want := world.GCP.Caller(body.AccessToken), "principal://iam.googleapis.com/projects/210987654321/locations/"+
		"global/workloadIdentityPools/pipelines/subject/"+RepositoryUUID; got != want {
		t.Errorf("caller = %s, want %s", got, want)
	}
}

func TestTokenExchangeRefuses(t *testing.T) {
	world := testWorld(t)
	issuer := world.Issuer
	good := stepToken(issuer, nil)
	provider := func(name string, edit func(*WorkloadProvider)) string {
		p := WorkloadProvider{
			Name: strings.TrimSuffix(ProviderName, "bitbucket") + name, Issuer: issuer,
			AllowedAudiences: []string{DefaultStep().WorkspaceAudience()}, Mapping: MapRepository,
		}
		edit(&p)
		world.GCP.Configure(func(c *GCPConfig) { c.Providers = append(c.Providers, p) })
		return "audience=//iam.googleapis.com/" + p.Name
	}
	disabled := provider("disabled", func(p *WorkloadProvider) { p.State = ProviderDisabled })
	deleted := provider("deleted", func(p *WorkloadProvider) { p.State = ProviderDeleted })
	ownAudience := provider("own-audience", func(p *WorkloadProvider) { p.AllowedAudiences = nil })
	conditional := provider("conditional", func(p *WorkloadProvider) {
		p.Condition = func(claims map[string]any) bool { return claims["branchName"] == "release" }
	})
	long := provider("long", func(p *WorkloadProvider) {
		p.Mapping = func(map[string]any) (string, map[string]string) { return strings.Repeat("x", 128), nil }
	})
	absent := provider("absent", func(p *WorkloadProvider) {
		p.Mapping = func(claims map[string]any) (string, map[string]string) {
			subject, _ := claims["deploymentEnvironmentUuid"].(string)
			return subject, nil
		}
	})

	tests := []struct {
		name string
		form url.Values
		code string
		text string
	}{
		{name: "unknown parameter", form: with(tokenExchange(good), "resource=x"), code: "invalid_request", text: "resource"},
		{
			name: "another grant", form: with(tokenExchange(good), "grant_type=client_credentials"),
			code: "unsupported_grant_type",
		},
		{
			name: "ID token asked for", form: with(tokenExchange(good), "requested_token_type="+tokenTypeID),
			code: "invalid_request", text: "requested_token_type",
		},
		{
			name: "no token type asked for", form: with(tokenExchange(good), "requested_token_type"), code: "invalid_request",
			text: "requested_token_type",
		},
		{
			name: "another token type", form: with(tokenExchange(good), "subject_token_type="+tokenTypeAccess),
			code: "invalid_request", text: "subject_token_type",
		},
		{name: "no scope", form: with(tokenExchange(good), "scope"), code: "invalid_scope"},
		{name: "no such scope", form: with(tokenExchange(good), "scope="+scopeCloudPlatform+" storage"), code: "invalid_scope"},
		{name: "no token", form: with(tokenExchange(good), "subject_token"), code: "invalid_request", text: "subject_token"},
		{
			name: "pool for audience",
			form: with(tokenExchange(good), "audience="+strings.TrimSuffix(testAudience, "/providers/bitbucket")),
			code: "invalid_request", text: `Invalid value for "audience"`,
		},
		{
			name: "audience with scheme", form: with(tokenExchange(good), "audience=https:"+testAudience),
			code: "invalid_request", text: `Invalid value for "audience"`,
		},
		{
			name: "audience without host", form: with(tokenExchange(good), "audience="+ProviderName), code: "invalid_request",
			text: `Invalid value for "audience"`,
		},
		{
			name: "another project",
			form: with(tokenExchange(good), "audience="+strings.Replace(testAudience, "2109", "9999", 1)),
			code: "invalid_target", text: "doesn't exist",
		},
		{
			name: "disabled provider", form: with(tokenExchange(good), disabled), code: "invalid_target",
			text: "disabled or deleted",
		},
		{
			name: "deleted provider", form: with(tokenExchange(good), deleted), code: "invalid_target",
			text: "disabled or deleted",
		},
		{
			name: "provider's own audience", form: with(tokenExchange(good), ownAudience), code: "invalid_grant",
			text: "does not match the expected audience //iam",
		},
		{
			name: "condition", form: with(tokenExchange(good), conditional), code: "unauthorized_client",
			text: "The given credential is rejected by the attribute condition.",
		},
		{
			name: "long subject", form: with(tokenExchange(good), long), code: "invalid_request",
			text: "The size of mapped attribute google.subject exceeds the 127 bytes limit.",
		},
		{
			name: "claim that is not there", form: with(tokenExchange(good), absent), code: "invalid_request",
			text: "google.subject",
		},
		{
			name: "another issuer", form: tokenExchange(stepToken(issuer, set("iss", "https://issuer.example"))),
			code: "invalid_grant",
			text: "The issuer in ID Token https://issuer.example does not match the expected ones: " + issuer.URL(),
		},
		{
			name: "another audience", form: tokenExchange(stepToken(issuer, set("aud", "sts.amazonaws.com"))),
			code: "invalid_grant", text: "The audience in ID Token [sts.amazonaws.com] does not match",
		},
		{
			name: "expired", form: tokenExchange(stepToken(issuer, set("exp", ago(time.Second)))), code: "invalid_grant",
			text: "is stale to sign-in.",
		},
		{
			name: "old", form: tokenExchange(stepToken(issuer, set("iat", ago(25*time.Hour)))), code: "invalid_grant",
			text: "is stale to sign-in.",
		},
		{
			name: "issued in the future", form: tokenExchange(stepToken(issuer, set("iat", ago(-time.Minute)))),
			code: "invalid_grant", text: "future",
		},
		{
			name: "lives too long", form: tokenExchange(stepToken(issuer, set("exp", ago(-25*time.Hour)))),
			code: "invalid_grant", text: "24 hours",
		},
		{name: "no expiry", form: tokenExchange(stepToken(issuer, set("exp", nil))), code: "invalid_grant", text: "exp"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := exchange(t, world, test.form, nil)
			if answer.status != http.StatusBadRequest || answer.Error != test.code || !strings.Contains(answer.Description, test.text) {
				t.Errorf("%d %v %q, want %s with %q", answer.status, answer.Error, answer.Description, test.code, test.text)
			}
		})
	}
	for name, token := range forgeries(t, issuer) {
		t.Run(name, func(t *testing.T) {
			if answer := exchange(t, world, tokenExchange(token), nil); answer.Error != "invalid_grant" {
				t.Errorf("%d %v, want invalid_grant", answer.status, answer.Error)
			}
		})
	}
	for name, edit := range map[string]func(*http.Request){
		"bearer":          func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
		"query parameter": func(r *http.Request) { r.URL.RawQuery = "key=x" },
		"content type":    func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"form as JSON":    func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
	} {
		if answer := exchange(t, world, tokenExchange(good), edit); answer.Error != "invalid_request" {
			t.Errorf("%s: %d %v, want invalid_request", name, answer.status, answer.Error)
		}
	}
	twice := tokenExchange(good)
	twice.Add("audience", testAudience)
	if answer := exchange(t, world, twice, nil); answer.Error != "invalid_request" {
		t.Errorf("duplicate: %d %v, want invalid_request", answer.status, answer.Error)
	}
	if answer := postJSON(t, world.GoogleSTS.URL+"/v1/token", "", `{"subject_token":"x"}`); answer.Error != "invalid_request" {
		t.Errorf("JSON in snake case: %d %v, want invalid_request", answer.status, answer.Error)
	}
	if secrets := world.GCP.Secrets(); len(secrets) > 0 {
		t.Errorf("%d secrets were handed out", len(secrets))
	}
}

func TestDefaultAudiences(t *testing.T) {
	world := testWorld(t)
	world.GCP.Configure(func(c *GCPConfig) { c.Providers[0].AllowedAudiences = nil })
	for aud, want := range map[string]int{
		testAudience:                           http.StatusOK,
		"https:" + testAudience:                http.StatusOK,
		"http:" + testAudience:                 http.StatusBadRequest,
		DefaultStep().WorkspaceAudience():      http.StatusBadRequest,
		strings.TrimPrefix(testAudience, "//"): http.StatusBadRequest,
	} {
		if answer := exchange(t, world, tokenExchange(stepToken(world.Issuer, set("aud", aud))), nil); answer.status != want {
			t.Errorf("aud %s: %d %s, want %d", aud, answer.status, answer.Description, want)
		}
	}
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

func TestKinds(t *testing.T) {
	world := testWorld(t)
	postJSON(t, world.IAMCredentials.URL+"/v1/projects/-/serviceAccounts/"+ServiceAccountEmail+":generateAccessToken",
		federated(t, world), `{"scope":["https://www.googleapis.com/auth/cloud-platform"]}`)
	askSTS(t, world.STS, webIdentity(stepToken(world.Issuer, nil)), nil)
	kinds := map[SecretKind]int{}
	for _, secret := range world.Secrets() {
		kinds[secret.Kind]++
	}
	want := map[SecretKind]int{StepToken: 2, AWSKeyID: 1, AWSKey: 2, SinkKey: 1, FederatedToken: 1, AccessToken: 1}
	if !maps.Equal(kinds, want) {
		t.Errorf("secrets = %v, want %v", kinds, want)
	}
}
