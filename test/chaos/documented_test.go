package chaos

import (
	"fmt"
	"slices"

	"bitbucket-oidc/test/cloud"
)

// A documented failure is one that a service says it has. Its code may say more than its status does.
type documented struct {
	requests []string // of the service
	status   int
	code     string
	message  string
	verdict  verdict
	shape    func(status int, code, message string) cloud.Fault
}

// documentedFailures are the codes of each service's documentation:
//
//   - AWS STS API Reference, AssumeRoleWithWebIdentity, AssumeRole and Common Errors; the throttling codes of AWS's SDKs
//   - Amazon ECR API Reference, GetAuthorizationToken and Common Errors
//   - Google Cloud, Troubleshoot Workload Identity Federation; google.rpc.Code for the IAM Credentials API
//   - Vault API, HTTP status codes; hashicorp/vault-plugin-auth-jwt, path_login.go
//   - RFC 6749, section 5.2; RFC 8693, section 2.2.2; RFC 6750, section 3.1
func documentedFailures() []documented {
	const verification = "Couldn't retrieve verification key from your identity provider, please reference " +
		"AssumeRoleWithWebIdentity documentation for requirements"
	webIdentity, chain := "AWS AssumeRoleWithWebIdentity", "AWS AssumeRole"
	sts := []string{webIdentity, chain}
	ecr := []string{"ECR GetAuthorizationToken", "ECR Public GetAuthorizationToken"}
	google := []string{"Google STS token"}
	iam := []string{"Google generateAccessToken", "Google generateIdToken"}
	vault := []string{"Vault login"}
	oauth := []string{"OAuth token-exchange", "OAuth jwt-bearer", "Databricks token", "Pulumi token"}

	var all []documented
	add := func(requests []string, shape func(int, string, string) cloud.Fault, status int, v verdict, codes ...string) {
		for _, code := range codes {
			all = append(all, documented{requests, status, code, "", v, shape})
		}
	}
	say := func(message string) { all[len(all)-1].message = message }

	add(sts, cloud.AWSError, 403, ends, "AccessDenied", "AccessDeniedException", "OptInRequired", "NotAuthorized", "IncompleteSignature",
		"InvalidClientTokenId", "MissingAuthenticationToken", "SignatureDoesNotMatch", "RegionDisabledException")
	add(sts, cloud.AWSError, 400, ends, "MalformedPolicyDocument", "PackedPolicyTooLarge", "ExpiredTokenException", "ExpiredToken", "ValidationError",
		"InvalidParameterValue", "InvalidParameterCombination", "MissingParameter", "MissingAction", "InvalidAction", "MalformedQueryString", "RequestExpired")
	add([]string{webIdentity}, cloud.AWSError, 403, ends, "IDPRejectedClaim")
	add([]string{webIdentity}, cloud.AWSError, 400, ends, "InvalidIdentityToken")
	say("Incorrect token audience")
	add([]string{webIdentity}, cloud.AWSError, 400, passes, "InvalidIdentityToken")
	say(verification)
	add([]string{webIdentity}, cloud.AWSError, 400, passes, "IDPCommunicationError")
	add(sts, cloud.AWSError, 400, throttles, "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled",
		"TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "SlowDown", "PriorRequestNotComplete")
	add(sts, cloud.AWSError, 400, passes, "RequestTimeout", "RequestTimeoutException")
	add(sts, cloud.AWSError, 500, passes, "InternalFailure", "InternalError")
	add(sts, cloud.AWSError, 503, passes, "ServiceUnavailable")

	add(ecr, cloud.ECRError, 400, ends, "AccessDeniedException", "InvalidParameterException", "UnrecognizedClientException", "InvalidSignatureException",
		"ExpiredTokenException", "IncompleteSignatureException", "UnknownOperationException", "SerializationException", "ValidationException", "OptInRequired")
	add(ecr, cloud.ECRError, 400, throttles, "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException")
	add(ecr, cloud.ECRError, 500, passes, "ServerException", "InternalFailure")
	add(ecr, cloud.ECRError, 503, passes, "ServiceUnavailableException")

	add(google, cloud.OAuthError, 400, ends, "invalid_grant", "invalid_request", "invalid_target", "invalid_scope", "unauthorized_client",
		"unsupported_grant_type", "access_denied")
	add(google, cloud.OAuthError, 401, ends, "invalid_client")
	add(google, cloud.OAuthError, 429, throttles, "quota_exceeded")
	add(google, cloud.GoogleError, 500, passes, "INTERNAL")
	add(google, cloud.GoogleError, 503, passes, "UNAVAILABLE")

	add(iam, cloud.GoogleError, 400, ends, "INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE")
	add(iam, cloud.GoogleError, 401, ends, "UNAUTHENTICATED")
	add(iam, cloud.GoogleError, 403, ends, "PERMISSION_DENIED")
	add(iam, cloud.GoogleError, 404, ends, "NOT_FOUND")
	add(iam, cloud.GoogleError, 409, ends, "ALREADY_EXISTS", "ABORTED")
	add(iam, cloud.GoogleError, 429, throttles, "RESOURCE_EXHAUSTED")
	add(iam, cloud.GoogleError, 499, ends, "CANCELLED")
	add(iam, cloud.GoogleError, 500, passes, "UNKNOWN", "INTERNAL", "DATA_LOSS")
	add(iam, cloud.GoogleError, 501, passes, "UNIMPLEMENTED")
	add(iam, cloud.GoogleError, 503, passes, "UNAVAILABLE")
	add(iam, cloud.GoogleError, 504, passes, "DEADLINE_EXCEEDED")

	said := func(status int, v verdict, text string) {
		add(vault, cloud.VaultError, status, v, "")
		say(text)
	}
	said(400, ends, `role "deploy" could not be found`)
	said(400, ends, "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience")
	said(400, ends, "error validating token: invalid issuer (iss) claim")
	said(400, ends, "error validating token: invalid expiration time (exp) claim: token is expired")
	said(403, ends, "permission denied")
	said(404, ends, "no handler for route")
	said(429, throttles, "request path \"auth/jwt/login\": rate limit quota exceeded")
	said(500, passes, "internal error")
	said(503, passes, "Vault is sealed")

	add(oauth, cloud.OAuthError, 400, ends, "invalid_request", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
		"invalid_target", "access_denied", "temporarily_unavailable", "server_error")
	add(oauth, cloud.OAuthError, 401, ends, "invalid_client", "invalid_token")
	add(oauth, cloud.OAuthError, 403, ends, "insufficient_scope")
	add(oauth, cloud.OAuthError, 429, throttles, "slow_down")
	add(oauth, cloud.OAuthError, 503, passes, "temporarily_unavailable")
	return all
}

// fault is the row of a documented failure. The server says nothing of when to come back.
func (d documented) fault() fault {
	name := fmt.Sprintf("%d %s", d.status, d.code)
	if d.message != "" {
		name = fmt.Sprintf("%d %s %q", d.status, d.code, d.message)
	}
	return fault{
		group: documentedGroup, name: name, verdict: d.verdict, arrange: answers(d.shape(d.status, d.code, d.message)),
		only: func(q request) bool { return slices.Contains(d.requests, q.name) },
	}
}

const documentedGroup = "Documented"
