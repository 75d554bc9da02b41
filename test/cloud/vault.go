package cloud

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// VaultToken is Vault's own token.
const VaultToken SecretKind = "Vault token"

// VaultConfig is what exists in the fake's Vault: one JWT authentication, and one role of it.
// [Vault, API, JWT/OIDC auth method]
type VaultConfig struct {
	Namespace string // where the authentication is mounted, empty: the root
	Mount     string // where in the namespace, without auth/
	Role      string

	// The role's bounds. Claims stands for bound_claims, without globs.
	TokenRule
	BoundSubject string

	TTL time.Duration
}

// Vault is HashiCorp Vault with JWT authentication, as an [http.Handler]. Its errors are those of
// hashicorp/vault-plugin-auth-jwt v0.26.1, path_login.go and claims.go, and of hashicorp/cap v0.12.0, jwt/jwt.go.
type Vault struct {
	desk[VaultConfig]
	tokens map[string]vaultToken
}

type vaultToken struct {
	path, namespace string
	expires         time.Time
}

// NewVault makes a Vault without tokens.
func NewVault(config VaultConfig) *Vault {
	return &Vault{desk: desk[VaultConfig]{config: config}, tokens: map[string]vaultToken{}}
}

func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Header.Get("X-Vault-Request") != "true" {
		// What Vault Agent with require_request_header answers, [Vault, Agent, Server Side Request Forgery Protection].
		writeVaultError(w, http.StatusPreconditionFailed, "missing 'X-Vault-Request' header")
		return
	}
	mount := (&url.URL{Path: v.config.Mount}).EscapedPath()
	switch {
	case posted(r, "/v1/auth/"+mount+"/login") && r.Header.Get("X-Vault-Token") == "" && r.Header.Get("X-Vault-Namespace") == v.config.Namespace:
		v.login(w, r, body)
	case posted(r, "/v1/auth/token/revoke-self"):
		v.revokeSelf(w, r, body)
	case (r.Method == "LIST" || r.Method == http.MethodGet) && strings.HasPrefix(r.URL.Path, "/v1/auth/"+mount+"/") && v.reads(r):
		v.read(w, r, strings.TrimPrefix(r.URL.Path, "/v1/auth/"+mount+"/"))
	default:
		// So Vault answers whoever has no token, for every path that needs one, existing or not.
		writeVaultError(w, http.StatusForbidden, "permission denied")
	}
}

// login is auth/MOUNT/login. Vault overlooks unknown members and the content type; here they are mistakes.
func (v *Vault) login(w http.ResponseWriter, r *http.Request, body []byte) {
	var request struct {
		Role string `json:"role"`
		JWT  string `json:"jwt"`
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" || decodeStrict(body, &request) != nil {
		writeVaultError(w, http.StatusBadRequest, "error parsing JSON")
		return
	}
	switch {
	case request.Role == "":
		writeVaultError(w, http.StatusBadRequest, "missing role")
		return
	case request.Role != v.config.Role:
		writeVaultError(w, http.StatusBadRequest, fmt.Sprintf("role %q could not be found", request.Role))
		return
	case request.JWT == "":
		writeVaultError(w, http.StatusBadRequest, "missing token")
		return
	}
	if why := v.refusal(request.JWT); why != "" {
		writeVaultError(w, http.StatusBadRequest, why)
		return
	}
	path := "auth/" + v.config.Mount + "/role/" + v.config.Role
	token := v.hand(VaultToken, newOpaque("hvs.CAESI", 66))
	v.tokens[token] = vaultToken{path, v.config.Namespace, v.config.now().Add(v.config.TTL)}
	noteCaller(r, path)
	writeJSON(w, http.StatusOK, map[string]any{
		"request_id":     newRequestID(),
		"lease_id":       "",
		"lease_duration": 0,
		"renewable":      false,
		"data":           nil,
		"warnings":       nil,
		"auth": map[string]any{
			"client_token":    token,
			"accessor":        newOpaque("", 18),
			"policies":        []string{"default", "deploy"},
			"token_policies":  []string{"default", "deploy"},
			"metadata":        map[string]string{"role": v.config.Role},
			"lease_duration":  int(v.config.TTL.Seconds()),
			"renewable":       true,
			"entity_id":       newRequestID(),
			"token_type":      "service",
			"orphan":          true,
			"mfa_requirement": nil,
			"num_uses":        0,
		},
	})
}

// refusal is why the JWT authentication refuses a token, as Vault writes it; empty if it does not.
func (v *Vault) refusal(token string) string {
	identity, err := v.config.identify(token)
	claim := claimError{}
	switch {
	case errors.Is(err, errIssuer):
		return "error validating token: invalid issuer (iss) claim"
	case err == nil && v.config.BoundSubject != "" && v.config.BoundSubject != identity.text("sub"):
		return "error validating token: invalid subject (sub) claim"
	case errors.Is(err, errAudience) && len(v.config.Audiences) == 0:
		return "audience claim found in JWT but no audiences bound to the role"
	case errors.Is(err, errAudience):
		return "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience"
	case errors.Is(err, errExpired):
		return "error validating token: invalid expiration time (exp) claim: token is expired"
	case errors.As(err, &claim) && claim.missing:
		return fmt.Sprintf("error validating claims: claim %q is missing", claim.claim)
	case errors.As(err, &claim):
		return fmt.Sprintf("error validating claims: claim %q does not match any associated bound claim values", claim.claim)
	case err != nil:
		return "error validating token: error verifying token signature: failed to verify id token signature"
	}
	return ""
}

// revokeSelf is auth/token/revoke-self. [Vault, API, Token auth method]
func (v *Vault) revokeSelf(w http.ResponseWriter, r *http.Request, body []byte) {
	value := r.Header.Get("X-Vault-Token")
	token, ok := v.tokens[value]
	switch {
	case len(body) > 0:
		writeVaultError(w, http.StatusBadRequest, "error parsing JSON")
	case !ok, !v.config.now().Before(token.expires), r.Header.Get("X-Vault-Namespace") != token.namespace:
		writeVaultError(w, http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
	default:
		noteCaller(r, token.path)
		delete(v.tokens, value)
		w.WriteHeader(http.StatusNoContent)
	}
}

// reads reports whether the request has a token that is alive, of this namespace.
func (v *Vault) reads(r *http.Request) bool {
	token, ok := v.tokens[r.Header.Get("X-Vault-Token")]
	return ok && v.config.now().Before(token.expires) && r.Header.Get("X-Vault-Namespace") == token.namespace
}

// read is the role, the list of roles, and the configuration. [Vault, API, JWT/OIDC auth method]
func (v *Vault) read(w http.ResponseWriter, r *http.Request, what string) {
	answer := func(data map[string]any) {
		writeJSON(
			w, http.StatusOK,
			map[string]any{
				"request_id": newRequestID(), "lease_id": "", "renewable": false, "lease_duration": 0, "data": data,
				"warnings": nil, "auth": nil,
			},
		)
	}
	claims := map[string]any{}
	for name, value := range v.config.Claims {
		claims[name] = value
	}
	switch {
	case r.Method == "LIST" && what == "role":
		answer(map[string]any{"keys": []string{v.config.Role}})
	case r.Method == http.MethodGet && what == "role/"+v.config.Role:
		answer(
			map[string]any{
				"role_type": "jwt", "user_claim": "repositoryUuid", "bound_audiences": v.config.Audiences,
				"bound_claims": claims, "bound_claims_type": "string", "bound_subject": v.config.BoundSubject,
				"token_ttl": int(v.config.TTL.Seconds()), "token_max_ttl": int(v.config.TTL.Seconds()),
				"token_policies": []string{"deploy"},
			},
		)
	case r.Method == http.MethodGet && what == "config":
		answer(map[string]any{"oidc_discovery_url": v.config.Issuer.URL(), "bound_issuer": v.config.Issuer.URL(), "default_role": ""})
	default:
		writeVaultError(w, http.StatusNotFound, "")
	}
}

// Tokens counts the tokens that are alive.
func (v *Vault) Tokens() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, token := range v.tokens {
		if v.config.now().Before(token.expires) {
			n++
		}
	}
	return n
}

// writeVaultError is Vault's one shape of errors. [Vault, API, HTTP status codes and error response]
func writeVaultError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]any{"errors": []string{text}})
}

// VaultError is an error of Vault.
func VaultError(status int, _, message string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeVaultError(w, status, strings.ReplaceAll(message, `\n`, "\n"))
	}
}
