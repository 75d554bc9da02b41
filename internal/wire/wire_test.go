package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// sent is what a server got of a request.
type sent struct {
	method, uri, body string
	header            http.Header
}

// server answers with a status and a body, and tells what it was sent.
func server(t *testing.T, status int, body string) (address string, got *sent) {
	t.Helper()
	got = &sent{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		*got = sent{r.Method, r.URL.RequestURI(), string(data), r.Header}
		w.Header().Set("Retry-After", "3600") // past any test's patience: one attempt
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func TestPost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request             Request
		contentType, body   string
		authorization, more string
	}{
		"form":    {request: Request{Form: url.Values{"b": {"x y&z"}, "a": {"1", "2"}}}, contentType: "application/x-www-form-urlencoded", body: "a=1&a=2&b=x+y%26z"},
		"JSON":    {request: Request{JSON: map[string]string{"jwt": "<a&b>"}}, contentType: "application/json", body: `{"jwt":"\u003ca\u0026b\u003e"}`},
		"nothing": {contentType: "application/x-www-form-urlencoded"},
		"header":  {request: Request{Header: http.Header{"X-Vault-Namespace": {"a/b"}}}, contentType: "application/x-www-form-urlencoded", more: "a/b"},
		"client": { // RFC 6749, section 2.3.1: encoded as forms are, then as Basic has it
			request: Request{ClientID: "a:b", ClientSecret: secret.New("c d+e%é")}, contentType: "application/x-www-form-urlencoded",
			authorization: "a%3Ab:c+d%2Be%25%C3%A9",
		},
		"client without a secret": {request: Request{ClientID: "a"}, contentType: "application/x-www-form-urlencoded", authorization: "a:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, got := server(t, 201, `{"token":"x"}`)
			c.request.URL = address + "/a%2Fb"
			answer, err := Post(t.Context(), transport.New(transport.Config{}), "trying", c.request)
			if err != nil {
				t.Fatal(err)
			}
			if !answer.OK() || answer.Value("token") != "x" {
				t.Errorf("answer: %v", answer)
			}
			if got.method != "POST" || got.uri != "/a%2Fb" || got.body != c.body {
				t.Errorf("sent %s %s %q, want POST /a%%2Fb %q", got.method, got.uri, got.body, c.body)
			}
			for header, want := range map[string]string{
				"Content-Type": c.contentType, "Accept": "application/json", "User-Agent": "bitbucket-oidc", "X-Vault-Namespace": c.more,
			} {
				if got.header.Get(header) != want {
					t.Errorf("%s: %q, want %q", header, got.header.Get(header), want)
				}
			}
			user, password, _ := (&http.Request{Header: got.header}).BasicAuth()
			if pair := user + ":" + password; c.authorization != "" && pair != c.authorization {
				t.Errorf("Basic %q, want %q", pair, c.authorization)
			} else if c.authorization == "" && got.header.Get("Authorization") != "" {
				t.Error("an Authorization header")
			}
		})
	}
}

// TestNoAnswer: an error says what was tried, and has advice, and nothing of the request.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	address, _ := server(t, 200, "")
	redirecting := httptest.NewServer(http.RedirectHandler("https://canary.example", http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	gone, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	for name, c := range map[string]struct {
		ctx   context.Context
		url   string
		says  string
		hints string
	}{
		"redirect": {t.Context(), redirecting.URL, "redirect", "proxy"},
		"http":     {t.Context(), "http://service.example", "not https", "look at its address"},
		"time":     {gone, address, "TIMEOUT", "TIMEOUT"},
		"no URL":   {t.Context(), "http://[canary", "the address cannot be used", "look at the service's address"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Post(c.ctx, transport.New(transport.Config{}), "trying", Request{URL: c.url, Form: url.Values{"token": {"canary"}}})
			hinttest.Check(t, err, "trying: ", c.says, c.hints)
		})
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	answer := func(body string) Answer { return Answer{200, []byte(body)} }
	for _, c := range []struct{ body, path, want string }{
		{`{"a":"x"}`, "a", "x"},
		{`{"a":{"b":{"c":"x"}}}`, "a.b.c", "x"},
		{`{"a":3600}`, "a", "3600"},
		{`{"a":12345678901234567890}`, "a", "12345678901234567890"},
		{`{"a":"x"} trailing`, "a", ""},
		{`{"a":"x"}{"a":"y"}`, "a", ""},
		{" {\"a\":\"x\"}\r\n", "a", "x"},
		{`{"a":{"b":"x"}}`, "a", ""},
		{`{"a":"x"}`, "a.b", ""},
		{`{"a":true}`, "a", ""},
		{`{"a":null}`, "a", ""},
		{`["a"]`, "a", ""},
		{`{"a":"x"`, "a", ""},
		{`"a"`, "a", ""},
		{`<html>`, "a", ""},
		{``, "a", ""},
		{`{"":"x"}`, "", "x"}, // a service without a lifetime has an empty path, which no answer has
	} {
		if got := answer(c.body).Value(c.path); got != c.want {
			t.Errorf("Value(%q) of %s = %q, want %q", c.path, c.body, got, c.want)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	for token, ok := range map[string]bool{
		"hvs.CAESI-_.~+/=":            true,
		"x":                           true,
		strings.Repeat("x", 64<<10):   true,
		"":                            false,
		"two words":                   false,
		`two\nlines`:                  false,
		`nul\u0000`:                   false,
		"jetôn":                       false,
		strings.Repeat("x", 64<<10+1): false,
	} {
		got, usable := Answer{200, fmt.Appendf(nil, `{"token":"%s"}`, token)}.Token("token")
		if usable != ok {
			t.Errorf("a token of %d bytes %.20q: usable %v, want %v", len(token), token, usable, ok)
		}
		if ok && got.Reveal() != token {
			t.Errorf("token %.20q became %.20q", token, got.Reveal())
		}
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	const unusable = -1
	for text, want := range map[string]time.Duration{
		`900`: 15 * time.Minute, `"900"`: 15 * time.Minute, `900.5`: 15 * time.Minute,
		`0`: 0, `"soon"`: 0, `null`: 0, `"1h"`: 0, `"15m"`: 0, `"1h2"`: 0, `true`: 0, `[900]`: 0, `315360000`: 10 * 365 * 24 * time.Hour,
		`-1`: unusable, `"-0.5"`: unusable, `"Inf"`: unusable, `"NaN"`: unusable, `1e400`: unusable, `-1e400`: unusable,
		`315360001`: unusable, `18446744077309`: unusable, `9223372036854775807`: unusable, `99999999999999`: unusable,
	} {
		ends, ok := Answer{200, []byte(`{"expires_in":` + text + `}`)}.Lifetime("expires_in")
		if ok != (want != unusable) {
			t.Errorf("expires_in %s: usable %v", text, ok)
		}
		if !ok {
			continue
		}
		if want == 0 {
			if !ends.IsZero() {
				t.Errorf("expires_in %s ends at %v, want none", text, ends)
			}
			continue
		}
		if left := time.Until(ends); left > want+time.Second || left < want-5*time.Second {
			t.Errorf("expires_in %s: %v left, want %v", text, left, want)
		}
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{
		`{"token_type":"Bearer"}`: true, `{"token_type":"bearer"}`: true, `{"token_type":"BEARER"}`: true, `{}`: true, `{"token_type":null}`: true,
		`{"token_type":"N_A"}`: true, `{"token_type":"n_a"}`: false,
		`{"token_type":"DPoP"}`: false, `{"token_type":"mac"}`: false, `{"token_type":""}`: false,
		`{"token_type":7}`: false, `{"token_type":["Bearer"]}`: false, `{"token_type":"Bearer "}`: false,
	} {
		if got := (Answer{200, []byte(answer)}).Bearer("N_A"); got != want {
			t.Errorf("%s: %v, want %v", answer, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for status, advice := range map[int]string{
		500: "TIMEOUT", 503: "TIMEOUT", 429: "TIMEOUT", 404: "nothing is at this address: look at VAULT_ADDR", 418: "VAULT_ADDR", 302: "VAULT_ADDR",
	} {
		err := Refused("trying", Answer{status, []byte("canary")}, "VAULT_ADDR")
		hints := strings.Join(hint.All(err), "\n")
		if err.Error() != fmt.Sprintf("trying: status %d", status) || !strings.Contains(hints, advice) {
			t.Errorf("status %d: %q with hints %q", status, err, hints)
		}
	}
	err := Unusable("trying", "no token", "VAULT_ADDR")
	if err.Error() != "trying: the answer cannot be used: no token" || !strings.Contains(strings.Join(hint.All(err), ""), "VAULT_ADDR") {
		t.Errorf("%q with hints %q", err, hint.All(err))
	}
}
