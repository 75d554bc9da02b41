package insights

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A request is what the proxy was asked.
type request struct {
	method, url, host string
	body              []byte
}

// startProxy answers with the status and the body that answer returns for the n-th request.
func startProxy(t *testing.T, answer func(n int) (int, string)) (*url.URL, *[]request) {
	t.Helper()
	var all []request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Header.Get("Authorization") != "" {
			t.Error("a credential")
		}
		all = append(all, request{r.Method, r.URL.String(), r.Host, body})
		status, text := answer(len(all))
		w.WriteHeader(status)
		io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, &all
}

func fine(int) (int, string) { return http.StatusOK, "{}" }

var commit = Config{Workspace: "acme", Repository: "shop", Commit: "3f1c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4"}

const reportURL = "http://api.bitbucket.org/2.0/repositories/acme/shop/commit/3f1c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4/reports/bitbucket-oidc-audit"

func annotations(n int) []Annotation {
	var all []Annotation
	for i := range n {
		all = append(all, Annotation{ID: fmt.Sprintf("a%04d", i), Path: "bitbucket-pipelines.yml", Line: i + 1, Summary: "x", Severity: "LOW"})
	}
	return all
}

// TestBatches: annotations go in hundreds, at most a thousand, in their order.
func TestBatches(t *testing.T) {
	for _, c := range []struct {
		annotations int
		posts       []int // annotations in each
	}{
		{0, nil},
		{1, []int{1}},
		{99, []int{99}},
		{100, []int{100}},
		{101, []int{100, 1}},
		{250, []int{100, 100, 50}},
		{999, append(slices.Repeat([]int{100}, 9), 99)},
		{1000, slices.Repeat([]int{100}, 10)},
		{1001, slices.Repeat([]int{100}, 10)},
		{2500, slices.Repeat([]int{100}, 10)},
	} {
		t.Run(fmt.Sprint(c.annotations), func(t *testing.T) {
			proxy, asked := startProxy(t, fine)
			p := newPublisher(commit, "bitbucket-oidc-audit", proxy)
			if err := p.publish(t.Context(), Report{ID: "bitbucket-oidc-audit"}, annotations(c.annotations)); err != nil {
				t.Fatal(err)
			}
			first := *asked
			for i, method := range []string{http.MethodDelete, http.MethodPut} {
				if first[i].method != method || first[i].url != reportURL || (len(first[i].body) == 0) != (method == http.MethodDelete) {
					t.Fatalf("request %d is %+v", i, first[i])
				}
			}
			var posts []int
			next := 0
			for _, r := range first[2:] {
				var some []struct {
					ID string `json:"external_id"`
				}
				if err := json.Unmarshal(r.body, &some); err != nil || r.method != http.MethodPost || r.url != reportURL+"/annotations" {
					t.Fatalf("%s %s: %v", r.method, r.url, err)
				}
				for _, a := range some {
					if want := fmt.Sprintf("a%04d", next); a.ID != want {
						t.Fatalf("%s, want %s", a.ID, want)
					}
					next++
				}
				posts = append(posts, len(some))
			}
			if !slices.Equal(posts, c.posts) {
				t.Errorf("posts %v, want %v", posts, c.posts)
			}
		})
	}
}

// TestLengths: no text is longer than Bitbucket takes it, and none is cut inside of a character.
func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name    string
		text    string
		summary int // characters
		details int
	}{
		{"short", "a", 1, 1},
		{"as long as a summary may be", strings.Repeat("a", 450), 450, 450},
		{"one more", strings.Repeat("a", 451), 450, 451},
		{"as long as details may be", strings.Repeat("a", 2000), 450, 2000},
		{"longer than both", strings.Repeat("a", 5000), 450, 2000},
		{"of several bytes", strings.Repeat("日", 3000), 450, 2000},
		{"beyond the first plane", strings.Repeat("🔑", 3000), 450, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := wireReport(Report{Title: c.text, Details: c.text})
			a := wireAnnotation(Annotation{Summary: c.text, Details: c.text})
			for _, field := range []struct {
				name string
				got  any
				want int
			}{
				{"title", r["title"], c.summary},
				{"report's details", r["details"], c.details},
				{"summary", a["summary"], c.summary},
				{"annotation's details", a["details"], c.details},
			} {
				text := field.got.(string)
				if n := utf8.RuneCountInString(text); n != field.want || !utf8.ValidString(text) {
					t.Errorf("%s: %d characters, want %d", field.name, n, field.want)
				}
				if cut := field.want < utf8.RuneCountInString(c.text); cut != strings.HasSuffix(text, "…") {
					t.Errorf("%s ends in %q", field.name, text[max(0, len(text)-3):])
				}
			}
		})
	}
}

// TestFields: what is not known is left out. Bitbucket refuses an empty path, a line 0 and a link that is no URL.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Annotation
		want string
	}{
		{
			name: "everything",
			in:   Annotation{ID: "a", Path: "x.yml", Line: 3, Summary: "s", Details: "d", Severity: "HIGH", Link: "https://x.example"},
			want: `{"annotation_type":"VULNERABILITY","details":"d","external_id":"a","line":3,"link":"https://x.example","path":"x.yml",` +
				`"result":"FAILED","severity":"HIGH","summary":"s"}`,
		},
		{
			name: "nothing",
			in:   Annotation{ID: "a", Summary: "s", Severity: "LOW"},
			want: `{"annotation_type":"VULNERABILITY","external_id":"a","result":"FAILED","severity":"LOW","summary":"s"}`,
		},
		{
			name: "a line without a path",
			in:   Annotation{ID: "a", Line: 3, Summary: "s", Severity: "LOW"},
			want: `{"annotation_type":"VULNERABILITY","external_id":"a","result":"FAILED","severity":"LOW","summary":"s"}`,
		},
		{
			name: "accepted",
			in:   Annotation{ID: "a", Summary: "s", Severity: "LOW", Ignored: true},
			want: `{"annotation_type":"VULNERABILITY","external_id":"a","result":"IGNORED","severity":"LOW","summary":"s"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := json.Marshal(wireAnnotation(c.in))
			if err != nil || string(got) != c.want {
				t.Errorf("%v:\n%s\nwant\n%s", err, got, c.want)
			}
		})
	}
}

// TestProxy: requests go to the proxy as such, over plain http, and nowhere else.
func TestProxy(t *testing.T) {
	if got := (Config{}).proxy().String(); got != "http://localhost:29418" {
		t.Errorf("from a step's container: %s", got)
	}
	if got := (Config{InPipe: true}).proxy().String(); got != "http://host.docker.internal:29418" {
		t.Errorf("from a pipe's container: %s", got)
	}
	t.Setenv("HTTP_PROXY", "http://proxy.example:3128")
	t.Setenv("NO_PROXY", "*")
	proxy, asked := startProxy(t, fine)
	odd := Config{Workspace: "a/../b", Repository: "c d", Commit: "e?f"}
	if err := newPublisher(odd, "g#h", proxy).publish(t.Context(), Report{}, nil); err != nil {
		t.Fatal(err)
	}
	const want = "http://api.bitbucket.org/2.0/repositories/a%2F..%2Fb/c%20d/commit/e%3Ff/reports/g%23h"
	if first := (*asked)[0]; first.url != want || first.host != "api.bitbucket.org" {
		t.Errorf("asked %+v", first)
	}
}

// TestAnswers: the first request that is refused ends it, with what Bitbucket says.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       int // the request that is answered otherwise
		status   int
		answer   string
		requests int
		want     string // empty for no error
	}{
		{name: "no earlier report", at: 1, status: 404, answer: `{"error": {"message": "none"}}`, requests: 4},
		{name: "no content", at: 1, status: 204, requests: 4},
		{name: "created", at: 3, status: 201, answer: "not JSON", requests: 4},
		{
			name: "no such commit", at: 2, status: 404, answer: `{"error": {"message": "No such commit."}}`, requests: 2,
			want: "PUT report: status 404: No such commit.",
		},
		{
			name: "forbidden", at: 1, status: 403, answer: `{"message": "Repository access required"}`, requests: 1,
			want: "DELETE report: status 403: Repository access required",
		},
		{name: "an annotation", at: 4, status: 400, answer: `{"message": " too\nlong "}`, requests: 4, want: "POST annotations: status 400: too\nlong"},
		{name: "a page", at: 2, status: 400, answer: "<html>", requests: 2, want: "PUT report: status 400"},
		{name: "no message", at: 2, status: 400, answer: `{"message": ""}`, requests: 2, want: "PUT report: status 400"},
		{name: "a redirect", at: 1, status: 302, requests: 1, want: "DELETE report: api.bitbucket.org: answered with a redirect, which is not followed"},
		{
			name: "a long message", at: 2, status: 400, answer: `{"message": "` + strings.Repeat("a", 1000) + `"}`, requests: 2,
			want: "PUT report: status 400: " + strings.Repeat("a", 299) + "…",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy, asked := startProxy(t, func(n int) (int, string) {
				if n == c.at {
					return c.status, c.answer
				}
				return http.StatusOK, "{}"
			})
			err := newPublisher(commit, "r", proxy).publish(t.Context(), Report{}, annotations(150))
			if got := fmt.Sprint(err); err == nil != (c.want == "") || err != nil && got != c.want {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if len(*asked) != c.requests {
				t.Errorf("%d requests, want %d", len(*asked), c.requests)
			}
		})
	}
}

// TestEnd: a proxy that does not answer is given up when the time is over.
func TestEnd(t *testing.T) {
	release := make(chan struct{})
	proxy, _ := startProxy(t, func(int) (int, string) {
		<-release
		return http.StatusOK, "{}"
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := newPublisher(commit, "r", proxy).publish(ctx, Report{}, nil); err == nil || !strings.HasPrefix(err.Error(), "DELETE report: ") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
