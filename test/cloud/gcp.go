package cloud

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// googleLifetime is how long Google's tokens last unless told. For federated tokens it is also the most.
const googleLifetime = time.Hour

// GCPConfig is what exists in the fake's Google Cloud.
type GCPConfig struct {
	Providers       []WorkloadProvider
	ServiceAccounts []ServiceAccount

	Now func() time.Time // nil: time.Now

	// Lifetime, if set, is the most that any token lasts, whatever was asked for and allowed. It makes expiry testable.
	Lifetime time.Duration

	// Universe is the domain in the names of providers and principals, empty: googleapis.com.
	Universe string

	PoolDisabled bool // all pools are
	Page         int  // the most that a page of a list has, whatever is asked for; 0: what the API allows
}

// A ProviderState is the state of a workload identity provider or of its pool. A deleted one stays around for 30 days,
// but is of no more use than a disabled one.
type ProviderState int

// The states of a provider.
const (
	ProviderActive ProviderState = iota
	ProviderDisabled
	ProviderDeleted
)

// A WorkloadProvider is an OIDC provider of a workload identity pool.
type WorkloadProvider struct {
	Name   string // projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER
	State  ProviderState
	Issuer *Issuer

	// AllowedAudiences: a token needs one of them. If there are none, it needs the provider's own name, with or without
	// `https:`. [IAM REST Reference, projects.locations.workloadIdentityPools.providers, Oidc]
	AllowedAudiences []string

	// Mapping makes the attributes: google.subject, and attribute.NAME under the name alone.
	Mapping func(claims map[string]any) (subject string, attributes map[string]string)

	// Condition is the attribute condition, nil if there is none.
	Condition func(claims map[string]any) bool

	// Shown and ShownCondition are Mapping and Condition as a reader of the provider sees them.
	Shown          map[string]string
	ShownCondition string
}

// A ServiceAccount is one whose credentials others may ask for.
type ServiceAccount struct {
	Email string

	// Members hold roles/iam.workloadIdentityUser or roles/iam.serviceAccountTokenCreator: `principal://…`,
	// `principalSet://…`, `serviceAccount:…`.
	Members []string

	// LongLifetimes is set where the organisation allows access tokens of up to 12 hours for the account.
	LongLifetimes bool
}

// GCP is Google's Security Token Service, the IAM Service Account Credentials API and a little of Cloud Storage. As an
// [http.Handler] it serves all of them on one address.
type GCP struct {
	mu      sync.Mutex
	config  GCPConfig
	tokens  map[string]googleToken
	secrets []Secret
	signing func() (*signingKey, error) // Google's own, made when the first ID token is
}

// A googleToken belongs to an access token.
type googleToken struct {
	principal string   // principal://… or serviceAccount:…
	sets      []string // principalSet://… that the principal is in
	scopes    []string
	issued    time.Time
	expires   time.Time
}

// NewGCP makes a Google Cloud of its own, without tokens.
func NewGCP(config GCPConfig) *GCP {
	return &GCP{config: config, tokens: map[string]googleToken{}, signing: sync.OnceValues(newSigningKey)}
}

// Configure changes what exists. The function must keep nothing it is given.
func (g *GCP) Configure(change func(*GCPConfig)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.config)
}

// SetServiceAccount adds a service account, or replaces the one of the same e-mail.
func (g *GCP) SetServiceAccount(account ServiceAccount) {
	g.Configure(func(c *GCPConfig) {
		c.ServiceAccounts = slices.DeleteFunc(c.ServiceAccounts, func(s ServiceAccount) bool { return s.Email == account.Email })
		c.ServiceAccounts = append(c.ServiceAccounts, account)
	})
}

// Secrets are the tokens handed out so far.
func (g *GCP) Secrets() []Secret {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.secrets)
}

// Caller is the principal of an access token, or empty.
func (g *GCP) Caller(accessToken string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tokens[accessToken].principal
}

func (g *GCP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	g.mu.Lock()
	defer g.mu.Unlock()

	if g.serveReads(w, r) {
		return
	}
	account, method, isAccount := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/"), ":")
	isAccount = isAccount && strings.HasPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/token":
		answer, failure := g.exchangeToken(r, body)
		if failure != nil {
			writeOAuthError(w, failure)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/introspect":
		writeJSON(w, http.StatusOK, g.introspect(body))
	case r.Method == http.MethodPost && isAccount && method == "generateAccessToken":
		writeGoogle(w, func() (any, *googleError) { return g.generateAccessToken(r, body, account) })
	case r.Method == http.MethodPost && isAccount && method == "generateIdToken":
		writeGoogle(w, func() (any, *googleError) { return g.generateIDToken(r, body, account) })
	case r.Method == http.MethodGet && r.URL.Path == "/oauth2/v3/certs":
		key, err := g.signing()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, http.StatusOK, key.set())
	case r.Method == http.MethodGet && (r.URL.Path == "/storage/v1/b" || strings.HasPrefix(r.URL.Path, "/storage/v1/b/")):
		// Enough of Cloud Storage for a client to prove that it sends the right bearer.
		writeGoogle(w, func() (any, *googleError) {
			if _, failure := g.bearer(r); failure != nil {
				return nil, failure
			}
			return map[string]any{}, nil
		})
	default:
		writeGoogleError(w, &googleError{code: http.StatusNotFound, status: "NOT_FOUND", message: "Not found."})
	}
}

func (g *GCP) now() time.Time {
	if g.config.Now != nil {
		return g.config.Now()
	}
	return time.Now()
}

func (g *GCP) universe() string {
	if g.config.Universe != "" {
		return g.config.Universe
	}
	return "googleapis.com"
}

// start makes an access token that lasts as long as asked, unless the fake is set to less.
func (g *GCP) start(kind SecretKind, token googleToken, lasts time.Duration) (string, googleToken) {
	if g.config.Lifetime > 0 {
		lasts = min(lasts, g.config.Lifetime)
	}
	token.issued = g.now()
	token.expires = token.issued.Add(lasts)
	part := "c"
	if kind == FederatedToken {
		part = "d"
	}
	value := newGoogleToken(part)
	g.tokens[value] = token
	g.secrets = append(g.secrets, Secret{kind, value})
	return value, token
}

// bearer is the token in the Authorization header, if it is alive.
func (g *GCP) bearer(r *http.Request) (googleToken, *googleError) {
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, known := g.tokens[value]
	if !ok || !known || !g.now().Before(token.expires) {
		return googleToken{}, &googleError{
			code:   http.StatusUnauthorized,
			status: "UNAUTHENTICATED",
			message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other " +
				"valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
		}
	}
	noteCaller(r, token.principal)
	return token, nil
}

// A googleError is an error of a Google API. [AIP-193]
type googleError struct {
	code     int
	status   string
	message  string
	reason   string            // of the ErrorInfo detail; empty: no detail
	metadata map[string]string // of the ErrorInfo detail
}

func writeGoogleError(w http.ResponseWriter, e *googleError) {
	body := map[string]any{"code": e.code, "message": e.message, "status": e.status}
	if e.reason != "" {
		body["details"] = []any{map[string]any{
			"@type":    "type.googleapis.com/google.rpc.ErrorInfo",
			"reason":   e.reason,
			"domain":   "iam.googleapis.com",
			"metadata": e.metadata,
		}}
	}
	writeJSON(w, e.code, map[string]any{"error": body})
}

func writeGoogle(w http.ResponseWriter, serve func() (any, *googleError)) {
	answer, failure := serve()
	if failure != nil {
		writeGoogleError(w, failure)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

var errTrailing = errors.New("something behind the JSON value")

// decodeStrict is JSON of one shape, nothing unknown, nothing behind it.
func decodeStrict(body []byte, v any) error {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}
