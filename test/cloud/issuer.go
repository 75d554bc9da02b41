// Package cloud is Bitbucket's identity provider, AWS and Google on loopback: what the program talks to in tests.
//
// The fakes promise to accept nothing that the real services would refuse. They share no code with the program, so
// that a mistake in it cannot hide in its judge. Where a service's wording or behaviour is not documented, a comment
// says that the choice is ours.
package cloud

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// keyBits is the least that RS256 allows, [RFC 7518, section 3.3].
const keyBits = 2048

// An Issuer is the OpenID provider that Bitbucket runs for one workspace. As an [http.Handler] it serves its discovery
// document and its keys; the other fakes take the key from it directly.
type Issuer struct {
	url string
	key *signingKey

	mu     sync.Mutex
	issued []string
}

// NewIssuer makes an issuer with a key of its own. Its URL is the value of `iss`: case-sensitive, no trailing slash.
func NewIssuer(issuerURL string) (*Issuer, error) {
	if _, err := url.Parse(issuerURL); err != nil {
		return nil, err
	}
	key, err := newSigningKey()
	if err != nil {
		return nil, err
	}
	return &Issuer{url: issuerURL, key: key}, nil
}

// At is an issuer at another URL that signs with the same key, for servers that insist on fetching keys themselves, and
// for tests that cannot afford a new key each.
func (i *Issuer) At(issuerURL string) *Issuer {
	return &Issuer{url: issuerURL, key: i.key}
}

// WorkspaceIssuerURL is the issuer of a workspace's tokens: it names the workspace by slug, not by UUID.
// [Bitbucket, Integrate Pipelines with resource servers using OIDC]
func WorkspaceIssuerURL(workspace string) string {
	return "https://api.bitbucket.org" + issuerPath(workspace)
}

func issuerPath(workspace string) string {
	return "/2.0/workspaces/" + workspace + "/pipelines-config/identity/oidc"
}

// ServeIssuer is an issuer that can be asked for its keys, as servers want that others wrote: Bitbucket's path, on
// loopback.
func ServeIssuer(workspace string) (*Issuer, *Server, error) {
	listener, err := net.Listen("tcp", loopback)
	if err != nil {
		return nil, nil, err
	}
	issuer, err := NewIssuer("http://" + listener.Addr().String() + issuerPath(workspace))
	if err != nil {
		_ = listener.Close()
		return nil, nil, err
	}
	return issuer, serveOn(listener, issuer), nil
}

// URL is the value of the tokens' `iss` claim.
func (i *Issuer) URL() string { return i.url }

// Token is a signed token of a step.
func (i *Issuer) Token(step Step) string { return i.Sign(step.Claims(i.url)) }

// Sign makes a token of any claims, sensible or not.
func (i *Issuer) Sign(claims map[string]any) string {
	token := i.key.sign(claims)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.issued = append(i.issued, token)
	return token
}

// Secrets are the tokens signed so far.
func (i *Issuer) Secrets() []Secret {
	i.mu.Lock()
	defer i.mu.Unlock()
	secrets := make([]Secret, len(i.issued))
	for n, token := range i.issued {
		secrets[n] = Secret{StepToken, token}
	}
	return secrets
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	base, err := url.Parse(i.url)
	if err != nil || r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, base.Path) {
		http.NotFound(w, r)
		return
	}
	switch r.URL.Path[len(base.Path):] {
	case "/.well-known/openid-configuration":
		writeJSON(w, http.StatusOK, map[string]any{
			"issuer":                                i.url,
			"jwks_uri":                              i.url + "/keys.json",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
			"claims_supported": []string{
				"sub", "iss", "aud", "exp", "iat", "branchName", "compliant", "deploymentEnvironmentUuid",
				"pipelineUuid", "repositoryUuid", "stepUuid", "workspaceUuid",
			},
		})
	case "/keys.json":
		writeJSON(w, http.StatusOK, i.key.set())
	default:
		http.NotFound(w, r)
	}
}

// A signingKey is an RSA key that signs by RS256 and knows its name.
type signingKey struct {
	private *rsa.PrivateKey
	id      string
}

func newSigningKey() (*signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(private.N.Bytes())
	return &signingKey{private: private, id: base64.RawURLEncoding.EncodeToString(sum[:12])}, nil
}

// sign makes a compact JWS, [RFC 7515, section 7.1]. Claims that JSON cannot hold are a mistake in the test.
func (k *signingKey) sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("cloud: claims that are no JSON: %v", err))
	}
	header := fmt.Sprintf(`{"typ":"JWT","kid":%q,"alg":"RS256"}`, k.id)
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, digest[:])
	if err != nil {
		panic(fmt.Sprintf("cloud: sign: %v", err))
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// set is the key as a JWKS, [RFC 7517].
func (k *signingKey) set() map[string]any {
	return map[string]any{"keys": []map[string]string{{
		"kty": "RSA",
		"use": "sig",
		"alg": "RS256",
		"kid": k.id,
		"n":   base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
	}}}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cloud: answer that is no JSON: %v", err))
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left is the client's business
}
