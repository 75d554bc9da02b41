package cloud

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	permissionAccessToken = "iam.serviceAccounts.getAccessToken"
	permissionIDToken     = "iam.serviceAccounts.getOpenIdToken"

	accountPrefix   = "projects/-/serviceAccounts/"
	maxLongLifetime = 12 * time.Hour // where constraints/iam.allowServiceAccountCredentialLifetimeExtension allows it
	idTokenIssuer   = "https://accounts.google.com"
)

var durationPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,9})?s$`)

// generateAccessToken makes a token of a service account.
// [IAM Service Account Credentials REST Reference, projects.serviceAccounts.generateAccessToken]
func (g *GCP) generateAccessToken(r *http.Request, body []byte, email string) (any, *googleError) {
	caller, failure := g.bearer(r)
	if failure != nil {
		return nil, failure
	}
	var request struct {
		Delegates []string `json:"delegates"`
		Scope     []string `json:"scope"`
		Lifetime  string   `json:"lifetime"`
	}
	if failure := decodeGoogle(r, body, &request); failure != nil {
		return nil, failure
	}
	if len(request.Scope) == 0 || slices.ContainsFunc(request.Scope, func(s string) bool { return !validScope(s) }) {
		return nil, invalidArgument()
	}
	lifetime := googleLifetime
	if request.Lifetime != "" {
		parsed, err := time.ParseDuration(request.Lifetime)
		if err != nil || !durationPattern.MatchString(request.Lifetime) || parsed <= 0 || parsed > maxLongLifetime {
			return nil, invalidArgument()
		}
		lifetime = parsed
	}
	account, failure := g.authorize(caller, email, request.Delegates, permissionAccessToken)
	if failure != nil {
		return nil, failure
	}
	if lifetime > googleLifetime && !account.LongLifetimes {
		return nil, &googleError{
			code: http.StatusForbidden, status: "PERMISSION_DENIED",
			message: "Access tokens for service account " + email + " can not have lifetimes of more than 1 hour. Use the " +
				"Org Policy Constraint `constraints/iam.allowServiceAccountCredentialLifetimeExtension` to extend it.",
		}
	}
	value, token := g.start(AccessToken, googleToken{principal: "serviceAccount:" + email, scopes: request.Scope}, lifetime)
	return map[string]string{"accessToken": value, "expireTime": token.expires.UTC().Format(time.RFC3339)}, nil
}

// generateIDToken makes an OpenID Connect token in the name of a service account.
// [IAM Service Account Credentials REST Reference, projects.serviceAccounts.generateIdToken]
func (g *GCP) generateIDToken(r *http.Request, body []byte, email string) (any, *googleError) {
	caller, failure := g.bearer(r)
	if failure != nil {
		return nil, failure
	}
	var request struct {
		Delegates    []string `json:"delegates"`
		Audience     string   `json:"audience"`
		IncludeEmail bool     `json:"includeEmail"`
	}
	if failure := decodeGoogle(r, body, &request); failure != nil {
		return nil, failure
	}
	if request.Audience == "" {
		return nil, invalidArgument()
	}
	if _, failure := g.authorize(caller, email, request.Delegates, permissionIDToken); failure != nil {
		return nil, failure
	}
	key, err := g.signing()
	if err != nil {
		return nil, &googleError{code: http.StatusInternalServerError, status: "INTERNAL", message: err.Error()}
	}
	lifetime := googleLifetime
	if g.config.Lifetime > 0 {
		lifetime = min(lifetime, g.config.Lifetime)
	}
	now := g.now()
	claims := map[string]any{
		"iss": idTokenIssuer,
		"aud": request.Audience,
		"azp": uniqueID(email),
		"sub": uniqueID(email),
		"iat": now.Unix(),
		"exp": now.Add(lifetime).Unix(),
	}
	if request.IncludeEmail {
		claims["email"] = email
		claims["email_verified"] = true
	}
	token := key.sign(claims)
	g.secrets = append(g.secrets, Secret{IDToken, token})
	return map[string]string{"token": token}, nil
}

// authorize walks the chain of delegates to the account: each link must be a member of the next.
func (g *GCP) authorize(caller googleToken, email string, delegates []string, permission string) (ServiceAccount, *googleError) {
	if !slices.Contains(caller.scopes, scopeCloudPlatform) && !slices.Contains(caller.scopes, scopeIAM) {
		return ServiceAccount{}, &googleError{
			code: http.StatusForbidden, status: "PERMISSION_DENIED",
			message: "Request had insufficient authentication scopes.",
			reason:  "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
		}
	}
	identities := append([]string{caller.principal}, caller.sets...)
	var account ServiceAccount
	for _, link := range append(slices.Clone(delegates), accountPrefix+email) {
		name, ok := strings.CutPrefix(link, accountPrefix)
		if !ok || name == "" {
			return ServiceAccount{}, invalidArgument()
		}
		i := slices.IndexFunc(g.config.ServiceAccounts, func(s ServiceAccount) bool { return s.Email == name })
		if i < 0 || !slices.ContainsFunc(identities, func(id string) bool {
			return slices.Contains(g.config.ServiceAccounts[i].Members, id)
		}) {
			return ServiceAccount{}, &googleError{
				code: http.StatusForbidden, status: "PERMISSION_DENIED",
				message:  fmt.Sprintf("Permission '%s' denied on resource (or it may not exist).", permission),
				reason:   "IAM_PERMISSION_DENIED",
				metadata: map[string]string{"permission": permission},
			}
		}
		account = g.config.ServiceAccounts[i]
		identities = []string{"serviceAccount:" + name}
	}
	return account, nil
}

func decodeGoogle(r *http.Request, body []byte, v any) *googleError {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return invalidArgument()
	}
	if err := decodeStrict(body, v); err != nil {
		return &googleError{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: "Invalid JSON payload received."}
	}
	return nil
}

func invalidArgument() *googleError {
	return &googleError{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: "Request contains an invalid argument."}
}

// uniqueID is the number that stands for a service account: 21 digits, as Google's have.
func uniqueID(email string) string {
	sum := sha256.Sum256([]byte(email))
	return fmt.Sprintf("1%020d", binary.BigEndian.Uint64(sum[:8]))
}
