package cloud

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A TokenRule is what a service wants of a token besides its signature.
type TokenRule struct {
	Issuer    *Issuer
	Audiences []string          // the token needs one of them
	Claims    map[string]string // that it must have, with just these values

	Now func() time.Time // nil: time.Now
}

func (r TokenRule) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// Why a token of the right signature is refused.
var (
	errIssuer   = errors.New("another issuer")
	errAudience = errors.New("none of the audiences")
	errExpired  = errors.New("expired, or not issued yet")
)

// A claimError names the claim that is not what a rule wants.
type claimError struct {
	claim   string
	missing bool
}

func (e claimError) Error() string { return "claim " + e.claim }

// identify is what every service checks: signature, issuer, audience, time, and the rule's claims, in that order.
func (r TokenRule) identify(token string) (assertion, error) {
	identity, err := parseAssertion(token)
	if err != nil {
		return assertion{}, err
	}
	if err := identity.verify(r.Issuer.key); err != nil {
		return assertion{}, err
	}
	if identity.text("iss") != r.Issuer.URL() {
		return assertion{}, errIssuer
	}
	if !slices.ContainsFunc(identity.audience(), func(aud string) bool { return slices.Contains(r.Audiences, aud) }) {
		return assertion{}, errAudience
	}
	issued, err1 := identity.timestamp("iat")
	expires, err2 := identity.timestamp("exp")
	if err := errors.Join(err1, err2); err != nil {
		return assertion{}, err
	}
	if now := r.now(); issued.After(now) || !now.Before(expires) {
		return assertion{}, errExpired
	}
	for _, claim := range slices.Sorted(maps.Keys(r.Claims)) {
		if got := identity.text(claim); got != r.Claims[claim] {
			return assertion{}, claimError{claim, got == ""}
		}
	}
	return identity, nil
}

// A desk is a token service's memory: what it is set to, and what it handed out.
type desk[Config any] struct {
	mu      sync.Mutex
	config  Config
	secrets []Secret
}

// Configure changes what the service is set to. The function must keep nothing it is given.
func (d *desk[Config]) Configure(change func(*Config)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.config)
}

// Secrets are the tokens handed out so far.
func (d *desk[Config]) Secrets() []Secret {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.secrets)
}

// hand notes a token that is handed out.
func (d *desk[Config]) hand(kind SecretKind, token string) string {
	d.secrets = append(d.secrets, Secret{kind, token})
	return token
}

// newOpaque is a token that says nothing, after a prefix by which secret scanners know it.
func newOpaque(prefix string, bytes int) string {
	data := make([]byte, bytes)
	_, _ = rand.Read(data) // never fails, [crypto/rand.Read]
	return prefix + base64.RawURLEncoding.EncodeToString(data)
}

// newServiceJWT is a service's own token in the form of a JWT. Nobody here has its key, so the signature is noise.
func newServiceJWT(claims map[string]any, expires time.Time) string {
	claims = maps.Clone(claims)
	claims["exp"] = expires.Unix()
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("cloud: claims that are no JSON: %v", err))
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"typ":"JWT","kid":"service","alg":"RS256"}`)) + "." + encode(payload) + "." + newOpaque("", 256)
}

// posted reports whether a request is a POST to this path and nothing else: no query, no Authorization.
func posted(r *http.Request, path string) bool {
	return r.Method == http.MethodPost && r.URL.EscapedPath() == path && r.URL.RawQuery == "" && !r.URL.ForceQuery &&
		r.Header.Get("Authorization") == ""
}
