package cloud

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const (
	// ecrPublicTarget is the operation of Amazon ECR Public, which answers in one region only.
	ecrPublicTarget = "SpencerFrontendService.GetAuthorizationToken"
	ecrPublicRegion = "us-east-1"

	ecrTarget   = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
	ecrLifetime = 12 * time.Hour
)

// A RegistryLogin belongs to a password of Docker for ECR.
type RegistryLogin struct {
	Principal string // who asked for it
	Region    string // where it holds
}

// RegistryLogin is the login with a password, if the password was handed out here.
func (a *AWS) RegistryLogin(password string) (RegistryLogin, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	login, ok := a.logins[password]
	return login, ok
}

// serveECR answers GetAuthorizationToken, the one call a registry login needs, in JSON 1.1.
// [Amazon ECR API Reference, GetAuthorizationToken]
func (a *AWS) serveECR(w http.ResponseWriter, r *http.Request, body []byte) {
	public, service := r.Header.Get("X-Amz-Target") == ecrPublicTarget, "ecr"
	if public {
		service = "ecr-public"
	}
	if r.Method != http.MethodPost || r.URL.Path != "/" || !public && r.Header.Get("X-Amz-Target") != ecrTarget ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		writeECRError(w, http.StatusBadRequest, "UnknownOperationException", "")
		return
	}
	caller, failure := a.authenticate(r, body, service)
	if failure != nil {
		writeECRError(w, http.StatusBadRequest, jsonCode(failure.code), failure.message)
		return
	}
	noteCaller(r, caller.Principal())
	role, _ := parseRoleARN(caller.Role)

	var request struct {
		RegistryIDs []string `json:"registryIds"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		writeECRError(w, http.StatusBadRequest, "SerializationException", "")
		return
	}
	if len(request.RegistryIDs) == 0 {
		request.RegistryIDs = []string{role.account}
	}

	signature, _ := parseSignature(r)
	if public && (signature.region != ecrPublicRegion || role.partition != "aws" || len(request.RegistryIDs) != 1 || request.RegistryIDs[0] != role.account) {
		writeECRError(w, http.StatusBadRequest, "InvalidParameterException", "")
		return
	}
	list := a.authorize(caller, role, signature.region, request.RegistryIDs)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", newRequestID())
	if public { // one object without an address [Amazon ECR Public API Reference, AuthorizationData]
		list[0].Endpoint = ""
		a.logins[strings.TrimPrefix(decoded(list[0].Token), "AWS:")] = RegistryLogin{caller.Principal(), "public"}
		_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": list[0]})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": list}) // a client that left is the client's business
}

// authorization is Docker's login for one registry.
type authorization struct {
	Token     string  `json:"authorizationToken"`
	ExpiresAt float64 `json:"expiresAt"`
	Endpoint  string  `json:"proxyEndpoint,omitempty"`
}

// authorize makes a login for each account's registry. It lasts as long as ECR's do, whenever the caller's session ends.
func (a *AWS) authorize(caller *Session, role roleARN, region string, accounts []string) []authorization {
	suffix := "amazonaws.com"
	if role.partition == "aws-cn" {
		suffix = "amazonaws.com.cn"
	}
	expires := a.now().Add(ecrLifetime)
	var list []authorization
	for _, account := range accounts {
		password := randomBase64(900)
		token := base64.StdEncoding.EncodeToString([]byte("AWS:" + password))
		a.secrets = append(a.secrets, Secret{ECRPassword, password}, Secret{ECRPassword, token})
		a.logins[password] = RegistryLogin{caller.Principal(), region}
		list = append(list, authorization{
			Token:     token,
			ExpiresAt: float64(expires.UnixMilli()) / 1000,
			Endpoint:  "https://" + account + ".dkr.ecr." + region + "." + suffix,
		})
	}
	return list
}

// jsonCode is what a service that speaks JSON calls a fault of a signature.
func jsonCode(code string) string {
	switch code {
	case "InvalidClientTokenId":
		return "UnrecognizedClientException"
	case "SignatureDoesNotMatch":
		return "InvalidSignatureException"
	case "ExpiredToken":
		return "ExpiredTokenException"
	}
	return code
}

func writeECRError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", newRequestID())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}

func decoded(token string) string {
	text, _ := base64.StdEncoding.DecodeString(token)
	return string(text)
}
