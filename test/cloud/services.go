package cloud

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The tokens of services that differ only in the form of request and answer.
const (
	JFrogToken      SecretKind = "JFrog token"
	CloudsmithToken SecretKind = "Cloudsmith token"
	DatabricksToken SecretKind = "Databricks token"
	PulumiToken     SecretKind = "Pulumi token"
)

// ServiceConfig is what a service is set to.
type ServiceConfig struct {
	TokenRule
	Account string // the organization, provider or service principal that trusts the issuer
	Unit    string // what the account has: a project, a service; empty for none
	TTL     time.Duration
}

// A Service trades a step's token for its own, in a form of its own. It is an [http.Handler].
type Service struct {
	desk[ServiceConfig]

	// grant answers a request. With an error it hands out nothing.
	grant func(s *Service, r *http.Request, body []byte) (status int, answer any, failure *serviceError)

	// shape is the body of an error.
	shape func(e *serviceError) any
}

// A serviceError is an error in no particular shape.
type serviceError struct {
	status  int
	code    string
	message string
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status, answer, failure := s.grant(s, r, body)
	if failure != nil {
		writeJSON(w, failure.status, s.shape(failure))
		return
	}
	writeJSON(w, status, answer)
}

// Error is an error of this service.
func (s *Service) Error(status int, code, message string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeJSON(w, status, s.shape(&serviceError{status, code, message}))
	}
}

func oauthShape(e *serviceError) any {
	return map[string]string{"error": e.code, "error_description": e.message}
}

// token checks the step's token; the wordings of refusals are ours.
func (s *Service) token(r *http.Request, token, code string, status int) *serviceError {
	identity, err := s.config.identify(token)
	if err != nil {
		return &serviceError{status, code, "the token is not accepted: " + err.Error()}
	}
	noteCaller(r, identity.text("sub"))
	return nil
}

// form takes a form with exactly these fields: a field with a value must have it, one without must be there. Fields that
// end in ? may be missing.
func form(r *http.Request, body []byte, fields map[string]string) (map[string]string, *serviceError) {
	refuse := func(text string) (map[string]string, *serviceError) {
		return nil, &serviceError{http.StatusBadRequest, "invalid_request", text}
	}
	given, malformed := parseQuery(r.Header.Get("Content-Type"), body)
	if malformed != nil {
		return refuse(malformed.message)
	}
	return fieldsOf(given.left, fields, refuse)
}

// object is form for JSON whose members are strings.
func object(r *http.Request, body []byte, fields map[string]string) (map[string]string, *serviceError) {
	refuse := func(text string) (map[string]string, *serviceError) {
		return nil, &serviceError{http.StatusBadRequest, "BAD_REQUEST", text}
	}
	given := map[string]string{}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" || decodeStrict(body, &given) != nil {
		return refuse("not a JSON object of strings")
	}
	return fieldsOf(given, fields, refuse)
}

func fieldsOf(given, fields map[string]string, refuse func(string) (map[string]string, *serviceError)) (map[string]string, *serviceError) {
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		name, optional := strings.CutSuffix(field, "?")
		got, ok := given[name]
		if want := fields[field]; !ok && !optional || ok && (got == "" || want != "" && got != want) {
			return refuse("missing or wrong: " + name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		_, known := fields[name]
		if _, optional := fields[name+"?"]; !known && !optional {
			return refuse("unknown: " + name)
		}
	}
	return given, nil
}

func noSuchPage() *serviceError {
	return &serviceError{http.StatusNotFound, "NOT_FOUND", "Not found."}
}

// NewJFrog is the JFrog Platform's OIDC exchange.
// [JFrog REST APIs, OIDC Token Exchange; jfrog/jfrog-client-go, access/services/accesstoken.go]
func NewJFrog(config ServiceConfig) *Service {
	return &Service{
		desk: desk[ServiceConfig]{config: config},
		grant: func(s *Service, r *http.Request, body []byte) (int, any, *serviceError) {
			if !posted(r, "/access/api/v1/oidc/token") {
				return 0, nil, noSuchPage()
			}
			fields := map[string]string{
				"grant_type": grantTokenExchange, "subject_token_type": tokenTypeID, "subject_token": "", "provider_name": s.config.Account,
				"project_key?": s.config.Unit,
			}
			request, failure := object(r, body, fields)
			if failure == nil {
				failure = s.token(r, request["subject_token"], "UNAUTHORIZED", http.StatusUnauthorized)
			}
			if failure != nil {
				return 0, nil, failure
			}
			token := newServiceJWT(map[string]any{"iss": "jfac@acme", "sub": "jfac@acme/users/bitbucket", "aud": "*@*"}, s.config.now().Add(s.config.TTL))
			return http.StatusOK, map[string]any{
				"access_token": s.hand(JFrogToken, token), "issued_token_type": tokenTypeAccess, "token_type": "Bearer",
				"expires_in": int(s.config.TTL.Seconds()), "scope": "applied-permissions/groups:deploy", "username": "bitbucket",
			}, nil
		},
		shape: func(e *serviceError) any {
			return map[string]any{"errors": []any{map[string]string{"code": e.code, "message": e.message}}}
		},
	}
}

// NewCloudsmith is Cloudsmith's OIDC exchange. Its answer tells no lifetime, but its token does.
// [cloudsmith-io/cloudsmith-cli, core/credentials/oidc/exchange.py]
func NewCloudsmith(config ServiceConfig) *Service {
	return &Service{
		desk: desk[ServiceConfig]{config: config},
		grant: func(s *Service, r *http.Request, body []byte) (int, any, *serviceError) {
			if !posted(r, "/openid/"+url.PathEscape(s.config.Account)+"/") {
				return 0, nil, noSuchPage()
			}
			request, failure := object(r, body, map[string]string{"oidc_token": "", "service_slug": s.config.Unit})
			if failure == nil {
				failure = s.token(r, request["oidc_token"], "", http.StatusUnprocessableEntity)
			}
			if failure != nil {
				return 0, nil, failure
			}
			token := newServiceJWT(map[string]any{"iss": "https://api.cloudsmith.io", "sub": s.config.Unit, "aud": s.config.Account}, s.config.now().Add(s.config.TTL))
			return http.StatusCreated, map[string]string{"token": s.hand(CloudsmithToken, token)}, nil
		},
		shape: func(e *serviceError) any { return map[string]string{"detail": e.message} },
	}
}

// NewDatabricks is Databricks' OAuth token federation.
// [databricks/databricks-sdk-go, config/experimental/auth/oidc/tokensource.go]
func NewDatabricks(config ServiceConfig) *Service {
	return &Service{
		desk: desk[ServiceConfig]{config: config},
		grant: func(s *Service, r *http.Request, body []byte) (int, any, *serviceError) {
			if !posted(r, "/oidc/v1/token") {
				return 0, nil, noSuchPage()
			}
			fields := map[string]string{
				"grant_type": grantTokenExchange, "subject_token_type": tokenTypeJWT, "subject_token": "", "scope": "all-apis", "client_id": "",
			}
			request, failure := form(r, body, fields)
			if failure == nil && request["client_id"] != s.config.Account {
				failure = &serviceError{http.StatusUnauthorized, "invalid_client", "Client authentication failed"}
			}
			if failure == nil {
				failure = s.token(r, request["subject_token"], "invalid_grant", http.StatusBadRequest)
			}
			if failure != nil {
				return 0, nil, failure
			}
			return http.StatusOK, map[string]any{
				"access_token": s.hand(DatabricksToken, newOpaque("dkea", 60)), "issued_token_type": tokenTypeAccess, "token_type": "Bearer",
				"expires_in": int(s.config.TTL.Seconds()), "scope": "all-apis",
			}, nil
		},
		shape: oauthShape,
	}
}

// NewPulumi is Pulumi Cloud's token exchange. The step's token must be meant for the organization.
// [pulumi/pulumi, pkg/backend/httpstate/client/client.go; Pulumi, OIDC issuers]
func NewPulumi(config ServiceConfig) *Service {
	return &Service{
		desk: desk[ServiceConfig]{config: config},
		grant: func(s *Service, r *http.Request, body []byte) (int, any, *serviceError) {
			if !posted(r, "/api/oauth/token") {
				return 0, nil, noSuchPage()
			}
			fields := map[string]string{
				"grant_type": grantTokenExchange, "audience": "urn:pulumi:org:" + s.config.Account, "subject_token_type": tokenTypeID,
				"subject_token": "", "requested_token_type": "urn:pulumi:token-type:access_token:organization", "expiration?": "",
			}
			request, failure := form(r, body, fields)
			if failure == nil {
				failure = s.token(r, request["subject_token"], "", http.StatusUnauthorized)
			}
			if failure != nil {
				return 0, nil, failure
			}
			return http.StatusOK, map[string]any{
				"access_token": s.hand(PulumiToken, newOpaque("pul-", 30)), "token_type": "token", "scope": "",
				"issued_token_type": "urn:pulumi:token-type:access_token:organization", "expires_in": int(s.config.TTL.Seconds()),
			}, nil
		},
		shape: func(e *serviceError) any { return map[string]any{"code": e.status, "message": e.message} },
	}
}
