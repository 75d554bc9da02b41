package oauth

import (
	"errors"
	"net/url"
	"strings"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/secret"
)

// Endpoint is any OAuth 2.0 token endpoint that takes a foreign JWT.
type Endpoint struct {
	URL string

	// Grant is token-exchange (RFC 8693) or jwt-bearer (RFC 7523).
	Grant string

	Audience, Resource string
	Scopes             []string

	// SubjectTokenType and RequestedTokenType are URIs; the second may be empty. They are of token-exchange alone.
	SubjectTokenType, RequestedTokenType string

	ClientID     string
	ClientSecret secret.Text

	Parameters []Parameter // added to the form

	// TokenVariable is filled by env.sh with the token; empty for none.
	TokenVariable string
}

// Generic is the name of the backend that is any endpoint.
const Generic = "oauth"

// Grants.
const (
	TokenExchange = "token-exchange"
	JWTBearer     = "jwt-bearer"
)

// Service is the endpoint as a service.
func (e Endpoint) Service() Service {
	s := Service{
		Name: Generic, Endpoint: e.URL, Principal: e.principal(), ClientID: e.ClientID, ClientSecret: e.ClientSecret,
		TokenIn: "subject_token", TokenAt: "access_token", SecondsAt: "expires_in", Variable: "OAUTH_TOKEN_URL",
		Setup: trustTheToken,
	}
	add := func(name, value string) {
		if value != "" {
			s.Parameters = append(s.Parameters, Parameter{name, value})
		}
	}
	if e.Grant == JWTBearer {
		s.TokenIn = "assertion"
		add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
	} else {
		add("grant_type", grantExchange)
		add("subject_token_type", e.SubjectTokenType)
		add("requested_token_type", e.RequestedTokenType)
		if e.RequestedTokenType != "" && e.RequestedTokenType != tokenTypeAccess {
			s.TokenType = "N_A" // the requested token is not an access token (RFC 8693, section 2.2.1)
		}
	}
	add("audience", e.Audience)
	add("resource", e.Resource)
	add("scope", strings.Join(e.Scopes, " "))
	s.Parameters = append(s.Parameters, e.Parameters...)
	if e.TokenVariable != "" {
		s.Env = []federation.Var{{Name: e.TokenVariable, Contents: "oauth/token"}}
	}
	return s
}

func (e Endpoint) principal() string {
	switch {
	case e.ClientID != "":
		return "client " + e.ClientID
	case e.Audience != "":
		return "audience " + e.Audience
	}
	// The path may say who, and the query hold a secret, such as the key of an API.
	u, err := url.Parse(e.URL)
	if err != nil {
		return "token endpoint"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// TokenType reads a type of token: a short name of RFC 8693 (section 3), or a URI.
func TokenType(s string) (string, error) {
	switch s {
	case "jwt", "id_token", "access_token":
		return "urn:ietf:params:oauth:token-type:" + s, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || !charset.Only(s, charset.Visible, 3, 500) {
		return "", errors.New("neither jwt, id_token, access_token nor a URI")
	}
	return s, nil
}
