package oidc_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/oidc"
)

const claims = `{
	"iss": "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
	"aud": "ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45",
	"sub": "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{9d6f4bc5-64a5-4a5a-a1a6-3a0f9d5a4a11}:{c4b1a2f0-1f8b-4b65-8e0b-3c5d9d1a7e55}",
	"exp": 1790000000, "iat": 1789996400,
	"repositoryUuid": "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}",
	"deploymentEnvironmentUuid": "{9d6f4bc5-64a5-4a5a-a1a6-3a0f9d5a4a11}",
	"compliant": {"of": "any type"}
}`

func jwt(header, payload string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(payload)) + "." + enc([]byte("signature"))
}

func with(t *testing.T, changes string) string {
	t.Helper()
	var base, change map[string]any
	if err := json.Unmarshal([]byte(claims), &base); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(changes), &change); err != nil {
		t.Fatal(err)
	}
	for k, v := range change {
		if base[k] = v; v == nil {
			delete(base, k)
		}
	}
	data, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	return jwt(`{"alg":"RS256"}`, string(data))
}

func TestParse(t *testing.T) {
	raw := jwt(`{"alg":"RS256","kid":"k"}`, claims)
	token, err := oidc.Parse(" \t" + raw + "\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if token.Reveal() != raw {
		t.Error("the token kept the white space around it")
	}
	c := token.Claims
	if got, want := c.Expires, time.Unix(1790000000, 0); !got.Equal(want) {
		t.Errorf("Expires = %v, want %v", got, want)
	}
	if c.Repository() != "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}" || c.Environment() != "{9d6f4bc5-64a5-4a5a-a1a6-3a0f9d5a4a11}" {
		t.Errorf("Repository, Environment = %s, %s", c.Repository(), c.Environment())
	}
}

func TestParseForms(t *testing.T) {
	for _, c := range []struct{ name, changes, audience, environment string }{
		{
			name: "several audiences", changes: `{"aud":["ari:cloud:bitbucket::workspace/x","https://a.example"]}`,
			audience:    "[ari:cloud:bitbucket::workspace/x https://a.example]",
			environment: "{9d6f4bc5-64a5-4a5a-a1a6-3a0f9d5a4a11}",
		},
		{
			name:    "no UUID claims",
			changes: `{"repositoryUuid":null,"deploymentEnvironmentUuid":null,"sub":"{a}:{b}:{c}","aud":"x"}`, audience: "[x]",
			environment: "{b}",
		},
		{name: "no environment", changes: `{"deploymentEnvironmentUuid":null,"sub":"{a}:{c}","aud":"x"}`, audience: "[x]"},
		{
			name: "a fraction of a second", changes: `{"exp":1790000000.9,"aud":"x"}`, audience: "[x]",
			environment: "{9d6f4bc5-64a5-4a5a-a1a6-3a0f9d5a4a11}",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, err := oidc.Parse(with(t, c.changes))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(token.Claims.Audience); got != c.audience {
				t.Errorf("Audience = %s, want %s", got, c.audience)
			}
			if got := token.Claims.Environment(); got != c.environment {
				t.Errorf("Environment() = %s, want %s", got, c.environment)
			}
		})
	}
}

func TestParseTakesAnyBranch(t *testing.T) {
	token, err := oidc.Parse(with(t, `{"branchName":"feature/👩\u200d💻"}`))
	if err != nil || token.Claims.BranchName != "feature/👩\u200d💻" {
		t.Errorf("%v, %q", err, token.Claims.BranchName)
	}
}

func TestParseRefuses(t *testing.T) {
	good := jwt(`{"alg":"RS256"}`, claims)
	for name, raw := range map[string]string{
		"nothing":            "",
		"a word":             "canary-token",
		"two parts":          good[:strings.LastIndex(good, ".")],
		"four parts":         good + ".x",
		"no signature":       good[:strings.LastIndex(good, ".")+1],
		"not base64":         "%%%." + good,
		"bad signature text": good + "=",
		"a list":             jwt(`{"alg":"RS256"}`, `[]`),
		"null":               jwt(`{"alg":"RS256"}`, `null`),
		"broken JSON":        jwt(`{"alg":"RS256"}`, claims[:len(claims)-2]),
		"header of no JSON":  jwt(`canary`, claims),
		"no alg":             jwt(`{}`, claims),
		"no iss":             with(t, `{"iss":null}`),
		"no sub":             with(t, `{"sub":""}`),
		"no aud":             with(t, `{"aud":[]}`),
		"aud of a number":    with(t, `{"aud":5}`),
		"aud of mixed types": with(t, `{"aud":["a",5]}`),
		"no exp":             with(t, `{"exp":null}`),
		"exp of text":        with(t, `{"exp":"1790000000"}`),
		"negative exp":       with(t, `{"exp":-1}`),
		"exp past the years": with(t, `{"exp":1e300}`),
		"sub of a number":    with(t, `{"sub":12345678}`),
		"a line break":       with(t, `{"sub":"{a}\n✔ aws default: fake"}`),
		"an escape sequence": with(t, `{"repositoryUuid":"\u001b[2J"}`),
		"broken over lines":  good[:20] + "\n" + good[20:],
		"too long":           with(t, `{"branchName":"`+strings.Repeat("x", 80<<10)+`"}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oidc.Parse(raw)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, part := range strings.Split(raw, ".") {
				if len(part) > 8 && strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "12345678") {
					t.Errorf("the error quotes the token: %v", err)
				}
			}
		})
	}
}

func TestParseClaims(t *testing.T) {
	token, err := oidc.Parse(jwt(`{"alg":"RS256"}`, claims))
	if err != nil {
		t.Fatal(err)
	}
	c, all, err := oidc.ParseClaims([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, token.Claims) || !reflect.DeepEqual(all, token.All()) {
		t.Errorf("the claims by themselves are %+v, %v, those of the token %+v, %v", c, all, token.Claims, token.All())
	}
	if all["exp"] != json.Number("1790000000") || !reflect.DeepEqual(all["compliant"], map[string]any{"of": "any type"}) {
		t.Errorf("all claims: %v", all)
	}
	if (oidc.Token{}).All() != nil {
		t.Error("the zero token has claims")
	}
	for name, c := range map[string]struct{ data, says string }{
		"no expiry":   {`{"iss":"i","aud":"a","sub":"s"}`, ""},
		"a token":     {token.Reveal(), "not a JSON object"},
		"no aud":      {`{"iss":"i","sub":"hunter2"}`, "no aud"},
		"two objects": {`{"iss":"i","aud":"a","sub":"s"}{}`, "not the JSON of a token"},
		"a number":    {`{"iss":"i","aud":"a","sub":12345678}`, "sub: a JSON number"},
		"too long":    {`{"iss":"` + strings.Repeat("x", 80<<10) + `"}`, "more than"},
	} {
		_, _, err := oidc.ParseClaims([]byte(c.data))
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "{")) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "12345678")) {
			t.Errorf("%s: the error quotes the claims: %v", name, err)
		}
	}
}

func TestTokenNeverPrints(t *testing.T) {
	token, err := oidc.Parse(jwt(`{"alg":"RS256"}`, claims))
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Split(token.Reveal(), ".")[1]
	type holder struct{ token oidc.Token }
	for _, v := range []any{token, &token, holder{token}, []oidc.Token{token}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if strings.Contains(fmt.Sprintf(verb, v), payload) {
				t.Errorf("%s of %T prints the token", verb, v)
			}
		}
		if data, _ := json.Marshal(v); strings.Contains(string(data), payload) {
			t.Errorf("JSON of %T holds the token", v)
		}
	}
}

func TestAge(t *testing.T) {
	c := oidc.Claims{IssuedAt: time.Unix(1000, 0).UTC(), Expires: time.Unix(4600, 0).UTC()}
	if got := c.Age(time.Unix(1000+7384, 0)); !strings.Contains(got, "expired at 1970-01-01T01:16:40Z, the step is 2h3m4s old") {
		t.Errorf("Age() = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(jwt(`{"alg":"RS256"}`, claims))
	f.Add("a.b.c")
	f.Add(jwt(`{"alg":"RS256"}`, `{"aud":[null],"exp":1e999}`))
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := oidc.Parse(raw)
		if err != nil {
			if len(raw) > 40 && strings.Contains(err.Error(), raw) {
				t.Errorf("the error quotes the token: %v", err)
			}
			return
		}
		c := token.Claims
		if c.Issuer == "" || c.Subject == "" || len(c.Audience) == 0 || c.Expires.IsZero() {
			t.Errorf("accepted without a claim that every token has: %+v", c)
		}
		if token.Reveal() != strings.TrimSpace(raw) {
			t.Error("the token was changed")
		}
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("the claims have no JSON: %v", err)
		}
	})
}

func TestPasteable(t *testing.T) {
	const uuid = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	good := oidc.Claims{
		Issuer:   "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		Audience: []string{"ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45", "urn:pulumi:org:acme", "api://a@b"},
		Subject:  uuid + ":" + uuid, RepositoryUUID: uuid, BranchName: "it's * main",
	}
	if got := good.Pasteable(); !reflect.DeepEqual(got, good) {
		t.Errorf("%+v became %+v", good, got)
	}
	for _, odd := range []string{"a' || true", `a"`, "a*", "a?", "a b", "$(a)", "a\\", "a\u202e", "`a`", "${a}"} {
		c := oidc.Claims{
			Issuer: odd, Audience: []string{odd, odd}, Subject: odd, RepositoryUUID: odd, WorkspaceUUID: odd, PipelineUUID: odd, StepUUID: odd,
			DeploymentEnvironmentUUID: odd,
		}
		if got := fmt.Sprintf("%+v", c.Pasteable()); strings.Contains(got, odd) || strings.Count(got, oidc.Odd) != 9 {
			t.Errorf("%q: %s", odd, got)
		}
		if c.Audience[0] != odd {
			t.Error("the claims themselves changed")
		}
	}
}
