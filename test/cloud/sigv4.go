package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	sigAlgorithm  = "AWS4-HMAC-SHA256"
	sigTimeFormat = "20060102T150405Z"
	sigMaxSkew    = 15 * time.Minute // [IAM User Guide, AWS Signature Version 4, troubleshooting]
)

// A signature is the Authorization header of a request, in parts.
type signature struct {
	accessKeyID string
	date        string // yyyymmdd
	region      string
	service     string
	headers     []string // names that were signed, lower case and sorted
	value       string   // hexadecimal
}

var authorizationPattern = regexp.MustCompile(
	`^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request,\s*` +
		`SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})$`)

func parseSignature(r *http.Request) (signature, *awsError) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return signature{}, &awsError{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"}
	}
	m := authorizationPattern.FindStringSubmatch(header)
	if m == nil {
		return signature{}, &awsError{http.StatusBadRequest, "IncompleteSignature", "Authorization header is not of Signature Version 4."}
	}
	return signature{m[1], m[2], m[3], m[4], strings.Split(m[5], ";"), m[6]}, nil
}

// verify computes the signature again and compares. Everything that a proxy could turn into another request must be
// signed. [IAM User Guide, AWS Signature Version 4 for API requests, Create a signed request]
func (s signature) verify(r *http.Request, body []byte, secret, service string, now time.Time) *awsError {
	mismatch := func(message string) *awsError {
		return &awsError{http.StatusForbidden, "SignatureDoesNotMatch", message}
	}
	if s.service != service {
		return mismatch("Credential should be scoped to correct service: '" + service + "'.")
	}
	stamp := r.Header.Get("X-Amz-Date")
	signed, err := time.Parse(sigTimeFormat, stamp)
	if err != nil || !strings.HasPrefix(stamp, s.date) {
		return &awsError{http.StatusBadRequest, "IncompleteSignature", "Date must be in ISO-8601 'basic format' and match the credential's."}
	}
	if signed.After(now.Add(sigMaxSkew)) {
		return mismatch("Signature not yet current: " + stamp)
	}
	if signed.Before(now.Add(-sigMaxSkew)) {
		return mismatch("Signature expired: " + stamp)
	}
	must := []string{"host", "x-amz-date"} // not content-type, which the SDK for JavaScript v2 leaves out (lib/signers/v4.js)
	for _, name := range []string{"X-Amz-Security-Token", "X-Amz-Target"} {
		if r.Header.Get(name) != "" {
			must = append(must, strings.ToLower(name))
		}
	}
	for _, name := range must {
		if !slices.Contains(s.headers, name) {
			return mismatch("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	if !slices.IsSorted(s.headers) {
		return mismatch("SignedHeaders must be sorted.")
	}
	if !hmac.Equal([]byte(s.compute(r, body, secret, stamp)), []byte(s.value)) {
		return mismatch("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

func (s signature) compute(r *http.Request, body []byte, secret, stamp string) string {
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	toSign := strings.Join([]string{sigAlgorithm, stamp, scope, hashHex([]byte(s.canonical(r, body)))}, "\n")
	key := hmacSHA256([]byte("AWS4"+secret), s.date)
	for _, part := range []string{s.region, s.service, "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	return hex.EncodeToString(hmacSHA256(key, toSign))
}

// canonical is the request in the one form that both sides sign.
func (s signature) canonical(r *http.Request, body []byte) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if s.service == "s3" { // which takes the path apart and encodes it once, as it wants it
			segment, _ = url.PathUnescape(segment)
		}
		segments[i] = sigEscape(segment) // for the others a second time
	}

	var pairs []string
	for name, values := range r.URL.Query() {
		for _, value := range values {
			pairs = append(pairs, sigEscape(name)+"="+sigEscape(value))
		}
	}
	sort.Strings(pairs)

	var headers strings.Builder
	for _, name := range s.headers {
		var values []string
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.Itoa(len(body))}
		default:
			for _, value := range r.Header.Values(name) {
				values = append(values, strings.Join(strings.Fields(value), " "))
			}
		}
		headers.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	return strings.Join([]string{
		r.Method, strings.Join(segments, "/"), strings.Join(pairs, "&"), headers.String(),
		strings.Join(s.headers, ";"), hashHex(body),
	}, "\n")
}

// sigEscape is RFC 3986's encoding, in which a blank is %20.
func sigEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func hashHex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func hmacSHA256(key []byte, data string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(data))
	return mac.Sum(nil)
}
