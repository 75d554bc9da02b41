package cloud

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// OktaToken is Okta Privileged Access's own token.
const OktaToken SecretKind = "Okta token"

// OktaConfig is what exists in the fake's Okta Privileged Access: one workload connection.
type OktaConfig struct {
	Team       string
	Connection string
	Inactive   bool     // its status is INACTIVE
	Roles      []string // workload roles that may be hinted at

	// The connection's conditions: iss and aud EQUALS, and Claims.
	TokenRule

	TTL time.Duration
}

// Okta is Okta Privileged Access, as an [http.Handler]: the exchange of a workload connection.
// [okta/terraform-provider-oktapam, vendor/github.com/atko-pam/pam-sdk-go v1.3.35, api_workloads, model_issue_request]
type Okta struct{ desk[OktaConfig] }

// NewOkta makes an Okta without tokens.
func NewOkta(config OktaConfig) *Okta { return &Okta{desk[OktaConfig]{config: config}} }

// credentialTypeJWT is the type of a workload connection in the management API; that the exchange wants the same literal
// is our choice.
const credentialTypeJWT = "JWT"

func (o *Okta) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	path := "/v1/teams/" + url.PathEscape(o.config.Team) + "/workloads/" + url.PathEscape(o.config.Connection) + "/issue_token"
	if !posted(r, path) {
		writeOktaError(w, http.StatusNotFound, "the requested resource could not be found") // wording ours
		return
	}
	var request struct {
		CredentialType string `json:"credential_type"`
		JWT            string `json:"jwt"`
		RoleHint       string `json:"role_hint"`
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil, mediaType != "application/json", decodeStrict(body, &request) != nil:
		writeOktaError(w, http.StatusBadRequest, "the request body is not valid") // all wordings ours
		return
	case request.CredentialType != credentialTypeJWT:
		writeOktaError(w, http.StatusBadRequest, "invalid credential_type")
		return
	case request.RoleHint != "" && !slices.Contains(o.config.Roles, request.RoleHint):
		writeOktaError(w, http.StatusBadRequest, "invalid role_hint")
		return
	case o.config.Inactive:
		writeOktaError(w, http.StatusForbidden, "the workload connection is not active")
		return
	}
	identity, err := o.config.identify(request.JWT)
	if claim := (claimError{}); errors.As(err, &claim) {
		writeOktaError(w, http.StatusForbidden, "the conditions of the workload connection are not met")
		return
	} else if err != nil {
		writeOktaError(w, http.StatusUnauthorized, "the credential is not valid")
		return
	}
	noteCaller(r, identity.text("sub"))
	token := newServiceJWT(map[string]any{"iss": "https://acme.pam.okta.com", "sub": o.config.Connection, "aud": o.config.Team}, o.config.now().Add(o.config.TTL))
	writeJSON(w, http.StatusOK, map[string]string{"token": o.hand(OktaToken, token)})
}

// writeOktaError is ErrorResponse of the SDK, model_error_response.
func writeOktaError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]any{"code": status, "error": text, "error_cause": []string{}})
}

// OktaError is an error of Okta Privileged Access.
func OktaError(status int, _, message string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { writeOktaError(w, status, message) }
}
