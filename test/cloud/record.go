package cloud

import (
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Request is what a [Server] remembers of one. It holds no secret: tests print it.
type Request struct {
	Method     string
	Host       string
	Path       string
	Operation  string            // AWS's action, or the last word of the path, such as token or generateAccessToken
	Parameters map[string]string // form fields or members of the JSON body, without tokens

	Authorization string // the header's scheme, such as Bearer; empty if there was no header
	Region        string // that an AWS signature is for; empty if there was none
	Principal     string // who the caller proved to be; empty if the fake did not ask or did not believe
}

// String is one line: what was asked, by whom, and with which parameters.
func (r Request) String() string {
	words := []string{r.Method, r.Path, r.Operation}
	if r.Authorization != "" {
		words = append(words, "authorization="+r.Authorization)
	}
	if r.Region != "" {
		words = append(words, "region="+r.Region)
	}
	if r.Principal != "" {
		words = append(words, "by="+r.Principal)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		words = append(words, name+"="+r.Parameters[name])
	}
	return strings.Join(words, " ")
}

// secretParameter matches names whose values must not be remembered: WebIdentityToken, subject_token, subjectToken, jwt.
// The types of tokens (subject_token_type) are none.
var secretParameter = regexp.MustCompile(`(?i)(token|secret|password|assertion|jwt)$`)

func describe(r *http.Request, body []byte) *Request {
	record := &Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, Parameters: map[string]string{}}
	record.Authorization, _, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	if signature, failure := parseSignature(r); failure == nil {
		record.Region = signature.region
	}

	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch mediaType {
	case "application/x-www-form-urlencoded":
		form, _ := url.ParseQuery(string(body)) // what cannot be parsed is for the fake to refuse
		for name, values := range form {
			record.Parameters[name] = strings.Join(values, ",")
		}
	case "application/json", "application/x-amz-json-1.1":
		var members map[string]any
		_ = json.Unmarshal(body, &members) // likewise
		for name, value := range members {
			if text, ok := value.(string); ok {
				record.Parameters[name] = text
			} else {
				encoded, _ := json.Marshal(value)
				record.Parameters[name] = string(encoded)
			}
		}
	}
	maps.DeleteFunc(record.Parameters, func(name, _ string) bool { return secretParameter.MatchString(name) })

	base := path.Base(r.URL.Path)
	record.Operation = base[strings.LastIndex(base, ":")+1:]
	if _, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		record.Operation = operation
	} else if action := record.Parameters["Action"]; action != "" {
		record.Operation = action
	}
	return record
}

// CountRequests is how many of the requests contain text, in the form of [Request.String].
func CountRequests(requests []Request, text string) int {
	n := 0
	for _, r := range requests {
		if strings.Contains(r.String(), text) {
			n++
		}
	}
	return n
}
