package cloud

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	grantTokenExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenTypeAccess      = "urn:ietf:params:oauth:token-type:access_token"
	tokenTypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	tokenTypeID          = "urn:ietf:params:oauth:token-type:id_token"
	maxAssertionAge      = 24 * time.Hour // [IAM, Workload identity federation with other providers, Prepare your IdP]
	maxAllowedAudiences  = 10
	subjectLimit         = 127 // bytes of google.subject
	scopeCloudPlatform   = "https://www.googleapis.com/auth/cloud-platform"
	scopeIAM             = "https://www.googleapis.com/auth/iam"
	federatedTokenIssuer = "https://sts.googleapis.com/"
)

// An oauthError is an error of the token exchange, [RFC 6749, section 5.2].
type oauthError struct {
	status      int
	code        string
	description string
}

func writeOAuthError(w http.ResponseWriter, e *oauthError) {
	writeJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}

func refuseExchange(code, format string, args ...any) *oauthError {
	return &oauthError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

// An exchangeRequest has the parameters that a workload may send. Google's API has more, for other uses; those are
// refused here, because sending them would be a mistake. [Security Token Service REST Reference, v1.token]
type exchangeRequest struct {
	GrantType          string `json:"grantType"`
	Audience           string `json:"audience"`
	Scope              string `json:"scope"`
	RequestedTokenType string `json:"requestedTokenType"`
	SubjectToken       string `json:"subjectToken"`
	SubjectTokenType   string `json:"subjectTokenType"`
}

// exchangeToken trades a workload's token for a federated access token.
func (g *GCP) exchangeToken(r *http.Request, body []byte) (any, *oauthError) {
	request, failure := parseExchange(r, body)
	if failure != nil {
		return nil, failure
	}
	switch {
	case request.GrantType != grantTokenExchange:
		return nil, refuseExchange("unsupported_grant_type", "Invalid grant_type: %s", request.GrantType)
	case request.RequestedTokenType != tokenTypeAccess:
		return nil, refuseExchange("invalid_request", "Invalid value for \"requested_token_type\".")
	case request.SubjectTokenType != tokenTypeJWT && request.SubjectTokenType != tokenTypeID:
		return nil, refuseExchange("invalid_request", "Invalid value for \"subject_token_type\".")
	case request.SubjectToken == "":
		return nil, refuseExchange("invalid_request", "Missing required parameter: subject_token")
	case request.Scope == "":
		return nil, refuseExchange("invalid_scope", "Missing required parameter: scope")
	}
	scopes := strings.Split(request.Scope, " ")
	if slices.ContainsFunc(scopes, func(s string) bool { return !validScope(s) }) {
		return nil, refuseExchange("invalid_scope", "Some requested scopes were invalid.")
	}
	provider, failure := g.provider(request.Audience)
	if failure != nil {
		return nil, failure
	}
	identity, rest, failure := g.identify(request.SubjectToken, provider)
	if failure != nil {
		return nil, failure
	}
	subject, attributes := provider.Mapping(identity.claims)
	if subject == "" {
		// What Google answers when a mapping names an absent claim is not documented. The choice is ours.
		return nil, refuseExchange("invalid_request", "The mapped attribute google.subject must not be empty.")
	}
	if len(subject) > subjectLimit {
		return nil, refuseExchange("invalid_request", "The size of mapped attribute google.subject exceeds the %d bytes "+
			"limit. Either modify your attribute mapping or the incoming assertion to produce a mapped attribute that is "+
			"less than %d bytes.", subjectLimit, subjectLimit)
	}
	if provider.Condition != nil && !provider.Condition(identity.claims) {
		return nil, refuseExchange("unauthorized_client", "The given credential is rejected by the attribute condition.")
	}

	pool, _, _ := strings.Cut(provider.Name, "/providers/")
	pool = "//iam." + g.universe() + "/" + pool
	token := googleToken{principal: "principal:" + pool + "/subject/" + subject, scopes: scopes}
	token.sets = []string{"principalSet:" + pool + "/*"}
	for name, value := range attributes {
		token.sets = append(token.sets, "principalSet:"+pool+"/attribute."+name+"/"+value)
	}
	value, token := g.start(FederatedToken, token, min(rest, googleLifetime))
	noteCaller(r, token.principal)
	return map[string]any{
		"access_token":      value,
		"issued_token_type": tokenTypeAccess,
		"token_type":        "Bearer",
		"expires_in":        int(token.expires.Sub(token.issued).Seconds()),
	}, nil
}

// parseExchange takes JSON in camel case, as Google's generated clients send, and a form in snake case, as its
// authentication libraries do.
//
// Google's reference wants no Authorization header with external credentials. gcloud sends its own client id and password
// all the same (Basic, [RFC 6749, section 2.3.1]) and is served, so those pass; the record shows whether they were sent.
func parseExchange(r *http.Request, body []byte) (exchangeRequest, *oauthError) {
	var request exchangeRequest
	if _, _, basic := r.BasicAuth(); r.Header.Get("Authorization") != "" && !basic {
		return request, refuseExchange("invalid_request", "The request must not contain an Authorization header.")
	}
	for name := range r.URL.Query() {
		if name != "alt" && name != "prettyPrint" {
			return request, refuseExchange("invalid_request", "Unknown query parameter: %s", name)
		}
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return request, refuseExchange("invalid_request", "Missing or malformed content type.")
	case mediaType == "application/json":
		if err := decodeStrict(body, &request); err != nil {
			return request, refuseExchange("invalid_request", "Invalid JSON payload received.")
		}
	case mediaType == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return request, refuseExchange("invalid_request", "Malformed form.")
		}
		fields := map[string]*string{
			"grant_type":           &request.GrantType,
			"audience":             &request.Audience,
			"scope":                &request.Scope,
			"requested_token_type": &request.RequestedTokenType,
			"subject_token":        &request.SubjectToken,
			"subject_token_type":   &request.SubjectTokenType,
		}
		for _, name := range slices.Sorted(maps.Keys(form)) {
			field, known := fields[name]
			if !known {
				return request, refuseExchange("invalid_request", "Unknown parameter: %s", name)
			}
			if len(form[name]) > 1 {
				return request, refuseExchange("invalid_request", "Duplicate parameter: %s", name)
			}
			*field = form[name][0]
		}
	default:
		return request, refuseExchange("invalid_request", "Unsupported content type: %s", mediaType)
	}
	return request, nil
}

// provider finds the provider that the audience names in full.
func (g *GCP) provider(audience string) (WorkloadProvider, *oauthError) {
	name, ok := strings.CutPrefix(audience, "//iam."+g.universe()+"/")
	parts := strings.Split(name, "/")
	if !ok || len(parts) != 8 || parts[0] != "projects" || parts[2] != "locations" || parts[3] != "global" ||
		parts[4] != "workloadIdentityPools" || parts[6] != "providers" || slices.Contains(parts, "") {
		return WorkloadProvider{}, refuseExchange("invalid_request", "Invalid value for \"audience\". This value should be "+
			"the full resource name of the Identity Provider. See https://cloud.google.com/iam/docs/reference/sts/rest/v1/"+
			"TopLevel/token for the list of possible formats.")
	}
	for _, p := range g.config.Providers {
		if p.Name == name && p.State == ProviderActive {
			return p, nil
		}
	}
	return WorkloadProvider{}, refuseExchange("invalid_target", "The target service indicated by the \"audience\" "+
		"parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it "+
		"doesn't exist.")
}

// identify makes the checks that Google makes before the mapping. The credential lasts at most for the rest of the token's life.
// [IAM, Workload identity federation with other providers]
func (g *GCP) identify(token string, provider WorkloadProvider) (identity assertion, rest time.Duration, failure *oauthError) {
	refuse := func(format string, args ...any) (assertion, time.Duration, *oauthError) {
		return assertion{}, 0, refuseExchange("invalid_grant", format, args...)
	}
	identity, err := parseAssertion(token)
	if err != nil {
		return refuse("Unable to parse the ID Token.") // wording ours
	}
	if issuer := identity.text("iss"); issuer != provider.Issuer.URL() {
		return refuse("The issuer in ID Token %s does not match the expected ones: %s", issuer, provider.Issuer.URL())
	}
	switch err := identity.verify(provider.Issuer.key); { // wordings ours
	case errors.Is(err, errAlgorithm):
		return refuse("The algorithm of the ID Token is not supported.")
	case errors.Is(err, errKeyID):
		return refuse("No matching signing key for the ID Token.")
	case err != nil:
		return refuse("The signature of the ID Token is invalid.")
	}
	allowed := provider.AllowedAudiences
	if len(allowed) == 0 {
		own := "//iam." + g.universe() + "/" + provider.Name
		allowed = []string{own, "https:" + own}
	}
	allowed = allowed[:min(len(allowed), maxAllowedAudiences)]
	if !slices.ContainsFunc(identity.audience(), func(aud string) bool { return slices.Contains(allowed, aud) }) {
		return refuse("The audience in ID Token [%s] does not match the expected audience %s.",
			strings.Join(identity.audience(), ", "), strings.Join(allowed, ", "))
	}
	issued, err1 := identity.timestamp("iat")
	expires, err2 := identity.timestamp("exp")
	if err1 != nil || err2 != nil {
		return refuse("The ID Token must have integer iat and exp claims.") // wording ours
	}
	now := g.now()
	switch {
	case issued.After(now):
		return refuse("ID Token issued at %d is in the future.", issued.Unix()) // wording ours
	case !now.Before(expires) || now.Sub(issued) > maxAssertionAge:
		return refuse("ID Token issued at %d is stale to sign-in.", issued.Unix())
	case expires.Sub(issued) > maxAssertionAge:
		return refuse("The lifetime of the ID Token exceeds 24 hours.") // wording ours
	}
	return identity, expires.Sub(now), nil
}

// validScope is what a scope looks like: a URL, or one of OpenID Connect's words.
func validScope(scope string) bool {
	return strings.HasPrefix(scope, "https://") || slices.Contains([]string{"openid", "email", "profile"}, scope)
}

// introspect describes a token, [RFC 7662]. After direct federation gcloud asks it for its identity. Real Google requires the
// client's own id and password; any are accepted here.
func (g *GCP) introspect(body []byte) any {
	form, err := url.ParseQuery(string(body))
	token, ok := g.tokens[form.Get("token")]
	if err != nil || !ok || !g.now().Before(token.expires) {
		return map[string]any{"active": false}
	}
	return map[string]any{
		"active":     true,
		"scope":      strings.Join(token.scopes, " "),
		"token_type": "Bearer",
		"iss":        federatedTokenIssuer,
		"username":   token.principal,
		"iat":        token.issued.Unix(),
		"exp":        token.expires.Unix(),
	}
}
