package cloud

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// webIdentity is a request that the default world grants for a good token.
func webIdentity(token string) url.Values {
	return url.Values{
		"Action":           {"AssumeRoleWithWebIdentity"},
		"Version":          {stsVersion},
		"RoleArn":          {RoleARN},
		"RoleSessionName":  {"bitbucket-shop-42"},
		"WebIdentityToken": {token},
	}
}

// with is a form with some parameters changed, NAME=VALUE each; NAME alone removes one.
func with(form url.Values, changes ...string) url.Values {
	for _, change := range changes {
		name, value, ok := strings.Cut(change, "=")
		form.Del(name)
		if ok {
			form.Set(name, value)
		}
	}
	return form
}

// A stsAnswer is what the tests look at of any answer.
type stsAnswer struct {
	status  int
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`

	Web   stsResult `xml:"AssumeRoleWithWebIdentityResult"`
	Chain stsResult `xml:"AssumeRoleResult"`
}

type stsResult struct {
	Arn         string `xml:"AssumedRoleUser>Arn"`
	Credentials credentialsXML
}

func (a stsAnswer) String() string { return fmt.Sprintf("%d %s %q", a.status, a.Code, a.Message) }

func askSTS(t *testing.T, server *Server, form url.Values, edit func(*http.Request)) stsAnswer {
	t.Helper()
	status, body := postForm(t, server.URL+"/", form, edit)
	answer := stsAnswer{status: status}
	if err := xml.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if !strings.Contains(body, stsNamespace) {
		t.Errorf("answer outside of AWS's namespace: %s", body)
	}
	return answer
}

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	world := testWorld(t)
	token := stepToken(world.Issuer, nil)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
	answer := askSTS(t, world.STS, with(webIdentity(token), "DurationSeconds=900", "Policy="+policy,
		"PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess"), nil)
	if answer.status != http.StatusOK {
		t.Fatal(answer)
	}
	if got, want := answer.Web.Arn, "arn:aws:sts::123456789012:assumed-role/deploy/bitbucket-shop-42"; got != want {
		t.Errorf("assumed role = %s, want %s", got, want)
	}
	c := answer.Web.Credentials
	if !regexp.MustCompile(`^ASIA[A-Z0-9]{16}$`).MatchString(c.AccessKeyID) {
		t.Errorf("access key id = %s", c.AccessKeyID)
	}
	if len(c.SecretAccessKey) != 40 || !strings.Contains(c.SecretAccessKey, "/") || !strings.Contains(c.SecretAccessKey, "+") {
		t.Errorf("the secret key has %d characters, or not the awkward ones", len(c.SecretAccessKey))
	}
	if !strings.Contains(c.SessionToken, "/") || !strings.HasSuffix(c.SessionToken, "=") {
		t.Error("the session token lacks the awkward characters")
	}
	session, ok := world.AWS.Session(c.AccessKeyID)
	if rest := time.Until(session.Expires); !ok || rest > 15*time.Minute || rest < 14*time.Minute {
		t.Errorf("the session lasts %v, want 15 minutes", rest)
	}
	again := askSTS(t, world.STS, webIdentity(token), nil)
	if again.Web.Credentials.SessionToken == c.SessionToken {
		t.Error("two sessions have the same credentials")
	}
}

func TestAssumeRoleWithWebIdentityRefuses(t *testing.T) {
	world := testWorld(t)
	issuer := world.Issuer
	good := stepToken(issuer, nil)
	elsewhere := "arn:aws:iam::210987654321:role/deploy"
	world.AWS.SetRole(Role{ARN: "arn:aws:iam::123456789012:role/production", Trust: []Trust{{
		Actions: []string{actionWebIdentity}, Issuer: issuer.URL(), Subject: RepositoryUUID + ":" + EnvironmentUUID + ":*",
	}}})
	world.AWS.SetRole(Role{ARN: "arn:aws:iam::123456789012:role/chained-only", Trust: []Trust{{
		Actions: []string{actionAssumeRole}, Issuer: issuer.URL(),
	}}})
	world.AWS.SetRole(Role{ARN: "arn:aws:iam::123456789012:role/other-audience", Trust: []Trust{{
		Actions: []string{actionWebIdentity}, Issuer: issuer.URL(), Audience: "sts.amazonaws.com",
	}}})

	tests := []struct {
		name string
		form url.Values
		code string
		text string
	}{
		{
			name: "unknown parameter", form: with(webIdentity(good), "ExternalId=12345"), code: "ValidationError",
			text: "ExternalId",
		},
		{
			name: "gap in a list",
			form: with(webIdentity(good), "PolicyArns.member.2.arn=arn:aws:iam::aws:policy/ReadOnlyAccess"),
			code: "ValidationError", text: "PolicyArns.member.2.arn",
		},
		{name: "wrong version", form: with(webIdentity(good), "Version=2012-10-17"), code: "InvalidAction"},
		{name: "no action", form: with(webIdentity(good), "Action"), code: "InvalidAction"},
		{name: "no role", form: with(webIdentity(good), "RoleArn"), code: "ValidationError", text: "roleArn"},
		{
			name: "no role ARN", form: with(webIdentity(good), "RoleArn=arn:aws:iam::123456789012:user/deploy"),
			code: "ValidationError", text: "is invalid",
		},
		{
			name: "short role ARN", form: with(webIdentity(good), "RoleArn=arn:aws:iam::1"), code: "ValidationError",
			text: "equal to 20",
		},
		{
			name: "no session name", form: with(webIdentity(good), "RoleSessionName"), code: "ValidationError",
			text: "roleSessionName",
		},
		{
			name: "short session name", form: with(webIdentity(good), "RoleSessionName=x"), code: "ValidationError",
			text: "equal to 2",
		},
		{
			name: "long session name", form: with(webIdentity(good), "RoleSessionName="+strings.Repeat("x", 65)),
			code: "ValidationError", text: "equal to 64",
		},
		{
			name: "braces in session name", form: with(webIdentity(good), "RoleSessionName={x}"), code: "ValidationError",
			text: "pattern",
		},
		{
			name: "two problems", form: with(webIdentity(good), "RoleSessionName=x", "DurationSeconds=1"),
			code: "ValidationError", text: "2 validation errors",
		},
		{name: "short duration", form: with(webIdentity(good), "DurationSeconds=899"), code: "ValidationError", text: "900"},
		{name: "long duration", form: with(webIdentity(good), "DurationSeconds=43201"), code: "ValidationError", text: "43200"},
		{
			name: "duration in words", form: with(webIdentity(good), "DurationSeconds=1h"), code: "ValidationError",
			text: "integer",
		},
		{
			name: "longer than the role allows", form: with(webIdentity(good), "DurationSeconds=3601"), code: "ValidationError",
			text: "MaxSessionDuration",
		},
		{name: "policy that is no JSON", form: with(webIdentity(good), "Policy={"), code: "MalformedPolicyDocument"},
		{
			name: "policy without statement", form: with(webIdentity(good), `Policy={"Version":"2012-10-17"}`),
			code: "MalformedPolicyDocument",
		},
		{name: "empty policy", form: with(webIdentity(good), "Policy="), code: "ValidationError"},
		{
			name: "policy with strange characters", form: with(webIdentity(good), `Policy={"Statement":[],"Id":"→"}`),
			code: "ValidationError", text: "pattern",
		},
		{
			name: "long policy", form: with(webIdentity(good), `Policy={"Statement":[]}`+strings.Repeat(" ", 2048)),
			code: "ValidationError", text: "2048",
		},
		{
			name: "long policy with ARN",
			form: with(
				webIdentity(good), `Policy={"Statement":[]}`+strings.Repeat(" ", 2020),
				"PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess",
			),
			code: "ValidationError", text: "combined",
		},
		{
			name: "policy of another account",
			form: with(webIdentity(good), "PolicyArns.member.1.arn=arn:aws:iam::210987654321:policy/ReadOnlyAccess"),
			code: "ValidationError", text: "account",
		},
		{
			name: "no policy ARN", form: with(webIdentity(good), "PolicyArns.member.1.arn=ReadOnlyAccess0000000"),
			code: "ValidationError", text: "not valid",
		},
		{name: "long token", form: webIdentity(strings.Repeat("x", 20001)), code: "ValidationError", text: "20000"},
		{
			name: "no token", form: with(webIdentity(good), "WebIdentityToken"), code: "ValidationError",
			text: "webIdentityToken",
		},

		{
			name: "provider of another account", form: with(webIdentity(good), "RoleArn="+elsewhere),
			code: "InvalidIdentityToken",
			text: "No OpenIDConnect provider found in your account for https://api.bitbucket.org/2.0/workspaces/acme/",
		},
		{
			name: "another issuer", form: webIdentity(stepToken(issuer, set("iss", "https://issuer.example"))),
			code: "InvalidIdentityToken", text: "No OpenIDConnect provider found in your account for https://issuer.example",
		},
		{
			name: "issuer with a slash", form: webIdentity(stepToken(issuer, set("iss", issuer.URL()+"/"))),
			code: "InvalidIdentityToken", text: "No OpenIDConnect provider",
		},
		{
			name: "another audience", form: webIdentity(stepToken(issuer, set("aud", "sts.amazonaws.com"))),
			code: "InvalidIdentityToken", text: "Incorrect token audience",
		},
		{
			name: "audience with braces",
			form: webIdentity(stepToken(issuer, set("aud", "ari:cloud:bitbucket::workspace/"+WorkspaceUUID))),
			code: "InvalidIdentityToken", text: "Incorrect token audience",
		},
		{
			name: "no audience", form: webIdentity(stepToken(issuer, set("aud", nil))), code: "InvalidIdentityToken",
			text: "Incorrect token audience",
		},
		{
			name: "audience of no string", form: webIdentity(stepToken(issuer, set("aud", 1))), code: "InvalidIdentityToken",
			text: "Incorrect token audience",
		},
		{
			name: "expired", form: webIdentity(stepToken(issuer, set("exp", ago(6*time.Minute)))),
			code: "ExpiredTokenException", text: "Token expired",
		},
		{
			name: "issued in the future", form: webIdentity(stepToken(issuer, set("iat", ago(-6*time.Minute)))),
			code: "InvalidIdentityToken", text: "future",
		},
		{name: "no expiry", form: webIdentity(stepToken(issuer, set("exp", nil))), code: "InvalidIdentityToken", text: "claim"},
		{
			name: "expiry with fraction", form: webIdentity(stepToken(issuer, set("exp", float64(ago(-time.Hour))+0.5))),
			code: "InvalidIdentityToken", text: "claim",
		},
		{
			name: "expiry in quotes", form: webIdentity(stepToken(issuer, set("exp", fmt.Sprint(ago(-time.Hour))))),
			code: "InvalidIdentityToken", text: "claim",
		},
		{
			name: "no subject", form: webIdentity(stepToken(issuer, set("sub", nil))), code: "InvalidIdentityToken",
			text: "claim",
		},

		{
			name: "another repository",
			form: webIdentity(stepToken(issuer, set("sub", "{00000000-0000-0000-0000-000000000000}:"+StepUUID))),
			code: "AccessDenied", text: "Not authorized to perform sts:AssumeRoleWithWebIdentity",
		},
		{
			name: "not a deployment", form: with(webIdentity(good), "RoleArn=arn:aws:iam::123456789012:role/production"),
			code: "AccessDenied", text: "Not authorized",
		},
		{
			name: "role for chains", form: with(webIdentity(good), "RoleArn=arn:aws:iam::123456789012:role/chained-only"),
			code: "AccessDenied", text: "Not authorized",
		},
		{
			name: "role for another audience",
			form: with(webIdentity(good), "RoleArn=arn:aws:iam::123456789012:role/other-audience"), code: "AccessDenied",
			text: "Not authorized",
		},
		{
			name: "no such role", form: with(webIdentity(good), "RoleArn=arn:aws:iam::123456789012:role/missing"),
			code: "AccessDenied", text: "Not authorized",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := askSTS(t, world.STS, test.form, nil)
			want := http.StatusBadRequest
			if test.code == "AccessDenied" {
				want = http.StatusForbidden
			}
			if answer.status != want || answer.Code != test.code || !strings.Contains(answer.Message, test.text) {
				t.Errorf("%v, want %d %s with %q", answer, want, test.code, test.text)
			}
		})
	}
	for name, token := range forgeries(t, issuer) {
		t.Run(name, func(t *testing.T) {
			if answer := askSTS(t, world.STS, webIdentity(token), nil); answer.Code != "InvalidIdentityToken" {
				t.Errorf("%v, want InvalidIdentityToken", answer)
			}
		})
	}
	if secrets := world.AWS.Secrets(); len(secrets) > 0 {
		t.Errorf("%d secrets were handed out", len(secrets))
	}
}

func TestSTSRefusesEnvelope(t *testing.T) {
	world := testWorld(t)
	form := webIdentity(stepToken(world.Issuer, nil))
	twice := webIdentity(stepToken(world.Issuer, nil))
	twice.Add("RoleArn", RoleARN)
	tests := map[string]struct {
		form url.Values
		edit func(*http.Request)
	}{
		"signed":            {form, func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }},
		"bearer":            {form, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }},
		"session token":     {form, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }},
		"JSON":              {form, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }},
		"no content type":   {form, func(r *http.Request) { r.Header.Del("Content-Type") }},
		"another method":    {form, func(r *http.Request) { r.Method = http.MethodPut }},
		"another path":      {form, func(r *http.Request) { r.URL.Path = "/sts" }},
		"parameters in URL": {form, func(r *http.Request) { r.URL.RawQuery = "DurationSeconds=900" }},
		"duplicate":         {twice, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if answer := askSTS(t, world.STS, test.form, test.edit); answer.status < 400 || answer.Code == "" {
				t.Errorf("%v, want an error", answer)
			}
		})
	}
}

func TestWebIdentityLeeway(t *testing.T) {
	world := testWorld(t)
	for name, edit := range map[string]func(map[string]any){
		"expired just now":    set("exp", ago(4*time.Minute)),
		"issued soon":         set("iat", ago(-4*time.Minute)),
		"one audience of two": set("aud", []string{"https://service.example", DefaultStep().WorkspaceAudience()}),
	} {
		if answer := askSTS(t, world.STS, webIdentity(stepToken(world.Issuer, edit)), nil); answer.status != http.StatusOK {
			t.Errorf("%s: %v", name, answer)
		}
	}
}

func TestLike(t *testing.T) {
	tests := []struct {
		pattern, value string
		want           bool
	}{
		{"{a}:*", "{a}:{b}", true},
		{"{a}:*", "{a}:", true},
		{"{a}:*", "{a}", false},
		{"{a}:*", "x{a}:{b}", false},
		{"*", "a:b/c\nd", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a?c", "abbc", false},
		{"A", "a", false},
		{"a.c", "abc", false},
		{"[ab]", "a", false},
		{"a", "a\n", false},
	}
	for _, test := range tests {
		if got := like(test.pattern, test.value); got != test.want {
			t.Errorf("like(%q, %q) = %v", test.pattern, test.value, got)
		}
	}
}

func TestSessionExpires(t *testing.T) {
	world := testWorld(t)
	world.AWS.Configure(func(c *AWSConfig) { c.Lifetime = 2 * time.Second })
	c := askSTS(t, world.STS, webIdentity(stepToken(world.Issuer, nil)), nil).Web.Credentials
	world.AWS.Configure(func(c *AWSConfig) { c.Now = func() time.Time { return time.Now().Add(2 * time.Second) } })
	form := url.Values{"Action": {"GetCallerIdentity"}, "Version": {stsVersion}}
	if answer := askSTS(t, world.STS, form, signed(c, "sts", form.Encode())); answer.Code != "ExpiredToken" {
		t.Errorf("%v, want ExpiredToken", answer)
	}
}
