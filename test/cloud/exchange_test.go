package cloud

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
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
