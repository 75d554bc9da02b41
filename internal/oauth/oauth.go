// Package oauth trades a step's token at services that take a foreign JWT and answer with a token of their own: any OAuth
// token endpoint (RFC 8693 and RFC 7523), and the services of a table, which differ in data alone.
package oauth

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/wire"
)

// A Service is everything in which one token service differs from another.
type Service struct {
	Name      string // of the backend
	Endpoint  string // the whole URL
	Principal string // who the step becomes, as far as the configuration shows it

	JSON       bool // the request is JSON; else a form
	Parameters []Parameter
	TokenIn    string // the parameter that carries the step's token

	ClientID     string // for HTTP Basic; empty for none
	ClientSecret secret.Text

	TokenAt   string // where the token stands in the answer, such as access_token
	SecondsAt string // where its lifetime stands, or empty
	TokenType string // the token_type of the answer, where it is not Bearer

	// Registries are the hosts to log Docker in to, with the token as the password. The user name is User, or stands in the answer at
	// UserAt.
	Registries   []string
	User, UserAt string

	Env []federation.Var

	// Variable is what to look at when nothing sensible answers; Setup says what the service must be told about Bitbucket.
	Variable string
	Setup    string
}

// A Parameter of a request.
type Parameter struct{ Name, Value string }

// Repeated is the first parameter that the request would carry twice, which OAuth forbids (RFC 6749, section 3.2), or
// empty. Audience and resource may be repeated (RFC 8693, section 2.1).
func (s Service) Repeated() string {
	seen := map[string]bool{s.TokenIn: true, "audience": false, "resource": false}
	for _, p := range s.Parameters {
		if seen[p.Name] {
			return p.Name
		}
		seen[p.Name] = p.Name != "audience" && p.Name != "resource"
	}
	return ""
}

// Backend is one service.
type Backend struct {
	Service
	client *http.Client
}

var _ federation.Backend = (*Backend)(nil)

// New prepares the exchange; it sends nothing.
func New(s Service, trace func(line string)) *Backend {
	return &Backend{s, transport.New(transport.Config{Trace: trace})}
}

// Name implements [federation.Backend].
func (b *Backend) Name() string { return b.Service.Name }

const name = "default"

// Targets implements [federation.Backend].
func (b *Backend) Targets() []federation.Target {
	t := federation.Target{Backend: b.Name(), Name: name, Identity: b.Principal, Endpoint: wire.Host(b.Endpoint)}
	for _, p := range b.Parameters {
		switch p.Name {
		case "audience":
			t.Audience = cmp.Or(t.Audience, p.Value)
		case "scope":
			t.Scopes = strings.Fields(p.Value)
		}
	}
	return []federation.Target{t}
}

// Exchange implements [federation.Backend].
func (b *Backend) Exchange(ctx context.Context, token oidc.Token) (federation.Grant, error) {
	grant := federation.Grant{Backend: b.Name()}
	way := federation.Begin(b.Targets()[0])
	got, call, err := b.exchange(ctx, token)
	way.Called(call)
	grant.Outcomes = []federation.Outcome{way.End(err)}
	if err != nil {
		return grant, fmt.Errorf("%s %s: %w", b.Name(), name, err)
	}
	credential := federation.Credential{
		Name: name, Principal: b.Principal, Expires: call.Expires, Files: []string{b.tokenFile()},
		Lengthen: "the service sets how long its tokens last: raise it there, or call the pipe again",
	}
	grant.Credentials = []federation.Credential{credential}
	for _, host := range b.Registries {
		credential.Name, credential.Files = host, []string{federation.DockerConfig}
		grant.Credentials = append(grant.Credentials, credential)
		grant.Registries = append(grant.Registries, federation.Registry{Host: host, Username: got.user, Password: got.token})
	}
	grant.Files, grant.Env = []federation.File{{Path: b.tokenFile(), Data: got.token}}, b.Env
	return grant, nil
}

// handed is what a service hands out.
type handed struct {
	token secret.Text
	user  string // of Docker; empty where there are no registries
}

func (b *Backend) tokenFile() string { return b.Name() + "/token" }

func (b *Backend) exchange(ctx context.Context, token oidc.Token) (handed, federation.Call, error) {
	call := federation.Call{Operation: "token"}
	fail := func(err error) (handed, federation.Call, error) { return handed{}, call, err }
	doing := "exchanging the token at " + wire.Host(b.Endpoint)
	answer, err := wire.Post(ctx, b.client, "exchanging the token", b.request(token))
	if err != nil {
		return fail(err)
	}
	if !answer.OK() {
		return fail(answer.Refusal(request{b.Service, token.Claims.Pasteable()}.explain(doing, answer)))
	}
	got, ok := answer.Token(b.TokenAt)
	if !ok {
		return fail(wire.Unusable(doing, "no "+b.TokenAt, b.Variable))
	}
	expires, ok := answer.Lifetime(b.SecondsAt)
	if parsed, err := oidc.Parse(got.Reveal()); err == nil && expires.IsZero() {
		expires = parsed.Claims.Expires // the service does not say, but its token does
	}
	switch {
	case !ok:
		return fail(wire.Unusable(doing, "a lifetime that no token has", b.Variable))
	case !answer.Bearer(b.TokenType):
		return fail(wire.Unusable(doing, "a token_type other than Bearer", b.Variable))
	}
	call.Principal, call.Expires = b.Principal, expires
	user := b.User
	if len(b.Registries) > 0 && b.UserAt != "" {
		// A colon would end the name in the pair that Docker sends (RFC 7617, section 2).
		if user = answer.Value(b.UserAt); !isUser(user) {
			return fail(wire.Unusable(doing, "no "+b.UserAt+" that Docker can log in with", b.Variable))
		}
	}
	return handed{got, user}, call, nil
}

func isUser(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r == ':' || !unicode.IsPrint(r) })
}

func (b *Backend) request(token oidc.Token) wire.Request {
	r := wire.Request{URL: b.Endpoint, ClientID: b.ClientID, ClientSecret: b.ClientSecret}
	parameters := append(slices.Clone(b.Parameters), Parameter{b.TokenIn, token.Reveal()})
	if b.JSON {
		object := map[string]string{}
		for _, p := range parameters {
			object[p.Name] = p.Value
		}
		r.JSON = object
		return r
	}
	r.Form = url.Values{}
	for _, p := range parameters {
		r.Form.Add(p.Name, p.Value)
	}
	return r
}
