package cloud

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The secrets of an OAuth server.
const (
	OAuthToken   SecretKind = "OAuth token"
	ClientSecret SecretKind = "client secret"
)

const (
	grantJWTBearer  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	tokenTypePrefix = "urn:ietf:params:oauth:token-type:"
)

// OAuthConfig is what an OAuth 2.0 token endpoint is set to.
type OAuthConfig struct {
	Path  string // of the endpoint
	Grant string // the grant that it knows: token-exchange [RFC 8693] or jwt-bearer [RFC 7523]

	// TokenRule is what it wants of the step's token.
	TokenRule

	// ClientID and ClientSecret of the one client, empty: nobody authenticates, and whoever does is refused.
	ClientID, ClientSecret string

	SubjectTokenTypes []string // URIs
	Targets           []string // what audience and resource may name
	Scopes            []string

	// Parameters are those of the server itself, such as connector_id. It requires each with this value.
	Parameters map[string]string

	TTL time.Duration
}

// OAuthServer is a token endpoint after the two specifications, as an [http.Handler].
type OAuthServer struct{ desk[OAuthConfig] }

// NewOAuthServer makes a server without tokens.
func NewOAuthServer(config OAuthConfig) *OAuthServer {
	return &OAuthServer{desk[OAuthConfig]{config: config}}
}

// Secrets are the tokens handed out so far, and the client's secret.
func (s *OAuthServer) Secrets() []Secret {
	secrets := s.desk.Secrets()
	s.Configure(func(c *OAuthConfig) {
		if c.ClientSecret != "" {
			secrets = append(secrets, Secret{ClientSecret, c.ClientSecret})
		}
	})
	return secrets
}

func (s *OAuthServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodPost || r.URL.EscapedPath() != s.config.Path || r.URL.RawQuery != "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store") // [RFC 6749, section 5.1]
	answer, failure := s.grant(r, body)
	if failure != nil {
		if failure.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="token"`) // [RFC 6749, section 5.2]
		}
		writeOAuthError(w, failure)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *OAuthServer) grant(r *http.Request, body []byte) (any, *oauthError) {
	form, malformed := parseQuery(r.Header.Get("Content-Type"), body)
	if malformed != nil {
		return nil, refuseExchange("invalid_request", "%s", malformed.message)
	}
	c := s.config
	if !c.authenticates(r) {
		return nil, &oauthError{http.StatusUnauthorized, "invalid_client", "Client authentication failed."}
	}
	grant, tokenIn := form.take("grant_type"), "subject_token"
	if want := "urn:ietf:params:oauth:grant-type:" + c.Grant; grant != want {
		return nil, refuseExchange("unsupported_grant_type", "The server knows %s only.", want)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		if form.take(name) != c.Parameters[name] {
			return nil, refuseExchange("invalid_request", "Requested %s does not exist.", name)
		}
	}
	for _, name := range []string{"audience", "resource"} {
		if target := form.take(name); target != "" && !slices.Contains(c.Targets, target) {
			return nil, refuseExchange("invalid_target", "Unknown %s.", name)
		}
	}
	scope := form.take("scope")
	if slices.ContainsFunc(strings.Fields(scope), func(s string) bool { return !slices.Contains(c.Scopes, s) }) {
		return nil, refuseExchange("invalid_scope", "A scope is not granted.")
	}
	answer := map[string]any{"token_type": "Bearer", "expires_in": int(c.TTL.Seconds())}
	if scope != "" {
		answer["scope"] = scope
	}
	if grant == grantJWTBearer {
		tokenIn = "assertion"
	} else {
		if !slices.Contains(c.SubjectTokenTypes, form.take("subject_token_type")) {
			return nil, refuseExchange("invalid_request", "Invalid subject_token_type.")
		}
		issued := tokenTypeAccess
		if requested := form.take("requested_token_type"); requested != "" {
			issued = requested
		}
		if issued != tokenTypeAccess && issued != tokenTypeJWT && issued != tokenTypeID {
			return nil, refuseExchange("invalid_request", "Invalid requested_token_type.")
		}
		if issued != tokenTypeAccess {
			answer["token_type"] = "N_A" // [RFC 8693, section 2.2.1]
		}
		answer["issued_token_type"] = issued
	}
	token := form.take(tokenIn)
	if len(form.left) > 0 {
		return nil, refuseExchange("invalid_request", "Unknown parameters: %s", strings.Join(slices.Sorted(maps.Keys(form.left)), ", "))
	}
	identity, err := c.identify(token)
	if err != nil {
		return nil, refuseExchange("invalid_grant", "The token is not accepted: %v.", err)
	}
	noteCaller(r, identity.text("sub"))
	answer["access_token"] = s.hand(OAuthToken, newOpaque("at.", 48))
	return answer, nil
}

// authenticates reports whether the request proves to be the one client's, by HTTP Basic of form-encoded id and secret
// [RFC 6749, section 2.3.1].
func (c OAuthConfig) authenticates(r *http.Request) bool {
	if c.ClientID == "" {
		return r.Header.Get("Authorization") == ""
	}
	user, password, ok := r.BasicAuth()
	id, err1 := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(password)
	return ok && err1 == nil && err2 == nil && id == c.ClientID && secret == c.ClientSecret
}
