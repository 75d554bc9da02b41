// Package wire makes the one kind of request that token services other than AWS and Google take: a form or JSON by POST, answered with
// JSON.
package wire

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// A Request is sent by POST: its JSON if it has any, or else its form.
type Request struct {
	URL    string
	Header http.Header
	JSON   any
	Form   url.Values

	// ClientID and ClientSecret, if set, authenticate the client by HTTP Basic (RFC 6749, section 2.3.1).
	ClientID     string
	ClientSecret secret.Text
}

// An Answer is what a server said.
type Answer struct {
	Status int
	body   []byte
}

// Post sends r. An error is a request without an answer; it begins with doing and has a hint.
func Post(ctx context.Context, client *http.Client, doing string, r Request) (Answer, error) {
	body, contentType := []byte(r.Form.Encode()), "application/x-www-form-urlencoded"
	if r.JSON != nil {
		contentType = "application/json"
		var err error
		if body, err = json.Marshal(r.JSON); err != nil {
			return Answer{}, errors.New(doing + ": the request cannot be written")
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{}, hint.New(doing+": the address cannot be used", "look at the service's address")
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "bitbucket-oidc")
	if r.ClientID != "" {
		pair := url.QueryEscape(r.ClientID) + ":" + url.QueryEscape(r.ClientSecret.Reveal())
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, unreachable(ctx, doing, r.URL, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body) // the transport has read and capped it
	if err != nil {
		return Answer{}, unreachable(ctx, doing, r.URL, err)
	}
	return Answer{resp.StatusCode, data}, nil
}

func unreachable(ctx context.Context, doing, endpoint string, err error) error {
	e := transport.Unreachable(ctx, endpoint, err)
	if e == nil {
		return hint.New(doing+": the request failed", "look at the address and the proxy")
	}
	advice := e.Advice
	if advice == "" {
		advice = "the runner must reach the service: look at its address and at the proxy"
	}
	return hint.With(fmt.Errorf("%s: %w", doing, e), advice)
}

// Host is the host of a URL that has been checked, with its port if it has one.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// RequestID is the id at path in the answer, or empty if the text there does not have the form of an id.
func (a Answer) RequestID(path string) string {
	id := a.Value(path)
	if !charset.Only(id, charset.Word+".-", 1, 128) {
		return ""
	}
	return id
}

// Refusal is the error of an answer that is not a success, with its status and code for the outcome. err has the hints.
func (a Answer) Refusal(err error) error {
	return &federation.Refusal{Status: a.Status, Err: err}
}

// OK reports whether the answer is a success.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Empty reports whether the answer has no body.
func (a Answer) Empty() bool { return len(a.body) == 0 }

// Into decodes the answer's JSON into v and reports whether it fits.
func (a Answer) Into(v any) bool { return json.Unmarshal(a.body, v) == nil }

// Value is the text or number at path in the answer's JSON, such as auth.client_token, or empty.
func (a Answer) Value(path string) string {
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber()
	var at any
	if !json.Valid(a.body) || dec.Decode(&at) != nil { // the decoder alone would not look at what comes behind the first value
		return ""
	}
	for name := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		at = object[name]
	}
	switch v := at.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// Token is the token at path. It reports whether a file and a header can hold the token.
func (a Answer) Token(path string) (secret.Text, bool) {
	token := a.Value(path)
	return secret.New(token), charset.Only(token, charset.Visible, 1, 64<<10)
}

// Lifetime reads the seconds at path and returns the time at which they are over; the zero time if there are none. It reports whether
// they can be a credential's lifetime.
func (a Answer) Lifetime(path string) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(a.Value(path), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return time.Time{}, true
	}
	return federation.EndOf(seconds)
}

// Bearer reports whether the answer's token_type is Bearer (RFC 6750), the only type that later commands can send, or the service's
// own name for it. An answer without a token_type counts as Bearer.
func (a Answer) Bearer(other string) bool {
	var answer map[string]json.RawMessage
	if !a.Into(&answer) || answer["token_type"] == nil || string(answer["token_type"]) == "null" {
		return true
	}
	kind := a.Value("token_type")
	return strings.EqualFold(kind, "Bearer") || kind != "" && kind == other
}

// Unusable is the error of a successful answer that lacks what it should have.
func Unusable(doing, what, variable string) error {
	return hint.New(doing+": the answer cannot be used: "+what, "something other than the service may have answered: look at "+variable+" and the proxy")
}

// Refused is the error of a status that no table explains.
func Refused(doing string, a Answer, variable string) error {
	switch {
	case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		return hint.New(fmt.Sprintf("%s: status %d", doing, a.Status), "this is usually temporary: run the step again, or raise TIMEOUT")
	case a.Status == http.StatusNotFound:
		return hint.New(fmt.Sprintf("%s: status %d", doing, a.Status), "nothing is at this address: look at "+variable)
	}
	return hint.New(fmt.Sprintf("%s: status %d", doing, a.Status), "look at "+variable+" and at the service's own log")
}
