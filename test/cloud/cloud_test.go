package cloud

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// testIssuer is an issuer with a key of its own.
func testIssuer(t *testing.T) *Issuer {
	t.Helper()
	issuer, err := NewIssuer(WorkspaceIssuerURL(Workspace))
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// testWorld is the default world, closed when the test ends.
func testWorld(t *testing.T) *World {
	t.Helper()
	world, err := Start(testIssuer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	return world
}

// stepToken signs the default step's claims after an edit.
func stepToken(issuer *Issuer, edit func(claims map[string]any)) string {
	claims := DefaultStep().Claims(issuer.URL())
	if edit != nil {
		edit(claims)
	}
	return issuer.Sign(claims)
}

// set is an edit of one claim; nil removes it.
func set(claim string, value any) func(map[string]any) {
	return func(claims map[string]any) {
		claims[claim] = value
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	}
}

func ago(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

// postForm sends a form and returns status and body.
func postForm(t *testing.T, to string, form url.Values, edit func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if edit != nil {
		edit(r)
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// forgeries are tokens that say the right thing and must not be believed.
func forgeries(t *testing.T, issuer *Issuer) map[string]string {
	t.Helper()
	good := stepToken(issuer, nil)
	parts := strings.Split(good, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

	impostor := testIssuer(t)
	impostor.key.id = issuer.key.id

	none := encode(`{"alg":"none","kid":"`+issuer.key.id+`"}`) + "." + parts[1] + "."

	// HS256 with the public key as its secret: the classic confusion of algorithms.
	modulus := issuer.key.private.N.Bytes()
	confused := encode(`{"alg":"HS256","kid":"`+issuer.key.id+`"}`) + "." + parts[1]
	confused += "." + encode(string(hmacSHA256(modulus, confused)))

	var claims map[string]any
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	claims["repositoryUuid"] = "{00000000-0000-0000-0000-000000000000}"
	payload, _ = json.Marshal(claims)

	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	signature[0] ^= 1

	otherKeyID := testIssuer(t)
	return map[string]string{
		"wrong key, right id":  stepToken(impostor, nil),
		"unknown key":          stepToken(otherKeyID, nil),
		"alg none":             none,
		"alg HS256":            confused,
		"claims changed":       parts[0] + "." + encode(string(payload)) + "." + parts[2],
		"signature changed":    parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature),
		"signature missing":    parts[0] + "." + parts[1] + ".",
		"two parts":            parts[0] + "." + parts[1],
		"line break at end":    good + "\n",
		"blank in front":       " " + good,
		"padded":               good + "==",
		"no JSON":              encode("{") + "." + parts[1] + "." + parts[2],
		"critical header":      encode(`{"alg":"RS256","kid":"`+issuer.key.id+`","crit":["b64"]}`) + "." + parts[1] + "." + parts[2],
		"not even nearly":      "12345",
		"claims without a map": parts[0] + "." + encode("null") + "." + parts[2],
	}
}

func TestIssuer(t *testing.T) {
	issuer, server, err := ServeIssuer(Workspace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	base, _ := url.Parse(issuer.URL())

	for path, want := range map[string]int{
		base.Path + "/.well-known/openid-configuration": http.StatusOK,
		base.Path + "/keys.json":                        http.StatusOK,
		"/.well-known/openid-configuration":             http.StatusNotFound,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := do(t, r); status != want {
			t.Errorf("GET %s: status %d, want %d", path, status, want)
		}
	}
}

func TestStep(t *testing.T) {
	step := DefaultStep()
	if got, want := step.Subject(), RepositoryUUID+":"+StepUUID; got != want {
		t.Errorf("subject = %s, want %s", got, want)
	}
	claims := step.Claims("https://issuer.example")
	if _, ok := claims["deploymentEnvironmentUuid"]; ok {
		t.Error("a step without deployment has deploymentEnvironmentUuid")
	}
	if got, want := claims["aud"], "ari:cloud:bitbucket::workspace/"+strings.Trim(WorkspaceUUID, "{}"); got != want {
		t.Errorf("aud = %v, want the string %s", got, want)
	}

	step.EnvironmentUUID = EnvironmentUUID
	step.Audiences = []string{"https://service.example"}
	claims = step.Claims("https://issuer.example")
	if got, want := claims["sub"], RepositoryUUID+":"+EnvironmentUUID+":"+StepUUID; got != want {
		t.Errorf("subject = %s, want %s", got, want)
	}
	if got, ok := claims["aud"].([]string); !ok || len(got) != 2 || got[1] != "https://service.example" {
		t.Errorf("aud = %v, want a list that ends in the custom audience", claims["aud"])
	}
}

func TestRequestsHoldNoSecret(t *testing.T) {
	world := testWorld(t)
	token := stepToken(world.Issuer, nil)
	postForm(t, world.STS.URL, webIdentity(token), nil)
	postForm(t, world.GoogleSTS.URL+"/v1/token", tokenExchange(token), nil)
	for _, server := range []*Server{world.STS, world.GoogleSTS} {
		for _, r := range server.Requests() {
			if strings.Contains(r.String(), token) {
				t.Errorf("the record of %s holds the token", r.Operation)
			}
		}
	}
	if n := CountRequests(world.STS.Requests(), "AssumeRoleWithWebIdentity"); n != 1 {
		t.Errorf("%d requests of AssumeRoleWithWebIdentity on record, want 1", n)
	}
	if n := CountRequests(world.GoogleSTS.Requests(), "POST /v1/token token"); n != 1 {
		t.Errorf("%d requests of token on record, want 1", n)
	}
}
