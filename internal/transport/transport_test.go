package transport_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bitbucket-oidc/internal/transport"
)

// answers serves one handler after the other, the last one from then on, and counts the requests.
func answers(t *testing.T, handlers ...http.HandlerFunc) (url string, count *atomic.Int32) {
	t.Helper()
	count = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != "canary-body" {
			t.Errorf("request %d has the body %q", count.Load()+1, body)
		}
		handlers[min(int(count.Add(1)), len(handlers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, count
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "canary-answer")
	}
}

// cut closes the connection after as many bytes of an answer.
func cut(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func post(t *testing.T, ctx context.Context, c transport.Config, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("canary-body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer canary-token")
	resp, err := transport.New(c).Do(req)
	if err != nil {
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error quotes a request or an answer: %v", err)
		}
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the answer was not read whole: %v", err)
	}
	return resp.StatusCode, nil
}

func TestAttempts(t *testing.T) {
	big := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }
	for _, c := range []struct {
		name     string
		handlers []http.HandlerFunc
		status   int    // of the answer in the end, or 0 for an error
		reason   string // a part of the error
		requests int32
	}{
		{"an answer", []http.HandlerFunc{status(200)}, 200, "", 1},
		{"a refusal", []http.HandlerFunc{status(403)}, 403, "", 1},
		{"not found", []http.HandlerFunc{status(404)}, 404, "", 1},
		{"a passing 500", []http.HandlerFunc{status(500), status(200)}, 200, "", 2},
		{"a passing 408", []http.HandlerFunc{status(408), status(200)}, 200, "", 2},
		{"a passing 425", []http.HandlerFunc{status(425), status(200)}, 200, "", 2},
		{"a passing 429", []http.HandlerFunc{status(429), status(200)}, 200, "", 2},
		{"a lasting 503", []http.HandlerFunc{status(503)}, 503, "", 5},
		{"a code that passes", []http.HandlerFunc{status(400, "X-Passes", "1"), status(200)}, 200, "", 2},
		{"a reset", []http.HandlerFunc{cut(""), status(200)}, 200, "", 2},
		{"a reset in the headers", []http.HandlerFunc{cut("HTTP/1.1 200 OK\r\nContent-"), status(200)}, 200, "", 2},
		{"a reset in the body", []http.HandlerFunc{cut("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncanary"), status(200)}, 200, "", 2},
		{"resets that last", []http.HandlerFunc{cut("")}, 0, "closed before the answer was whole (5 attempts)", 5},
		{"a redirect", []http.HandlerFunc{status(302, "Location", "/canary-elsewhere")}, 0, "redirect, which is not followed", 1},
		{"a large answer", []http.HandlerFunc{big}, 0, "more than 1048576 bytes", 1},
		{"no HTTP", []http.HandlerFunc{cut("canary canary canary\r\n\r\n")}, 0, "the request failed (5 attempts)", 5},
		{"Retry-After past the deadline", []http.HandlerFunc{status(429, "Retry-After", "3600")}, 429, "", 1},
		{"Retry-After of a date past the deadline", []http.HandlerFunc{status(503, "Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")}, 503, "", 1},
		{"Retry-After of the last date there is", []http.HandlerFunc{status(503, "Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")}, 503, "", 1},
		{"Retry-After of now", []http.HandlerFunc{status(503, "Retry-After", "0"), status(200)}, 200, "", 2},
		{"Retry-After of nonsense", []http.HandlerFunc{status(503, "Retry-After", "soon"), status(200)}, 200, "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			url, count := answers(t, c.handlers...)
			passing := transport.Config{Judge: func(code int, body []byte) transport.Fault {
				if code == 400 && string(body) == "canary-answer" {
					return transport.Passes
				}
				return transport.Lasts
			}}
			got, err := post(t, ctx, passing, url)
			if got != c.status || count.Load() != c.requests {
				t.Errorf("status %d after %d requests (%v), want %d after %d", got, count.Load(), err, c.status, c.requests)
			}
			var own *transport.Error
			if c.reason != "" && (!errors.As(err, &own) || !strings.Contains(own.Error(), c.reason)) {
				t.Errorf("error %v, want one about %q", err, c.reason)
			}
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	url, _ := answers(t, status(429, "Retry-After", "1"), status(200))
	began := time.Now()
	if got, err := post(t, t.Context(), transport.Config{}, url); got != 200 {
		t.Fatal(got, err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("tried again after %v, want at least the 1 s that was asked for", took)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"hanging before the headers": hang,
		"hanging in the body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			hang(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			url, _ := answers(t, handler)
			began := time.Now()
			_, err := post(t, ctx, transport.Config{}, url)
			if err == nil || !strings.Contains(err.Error(), "TIMEOUT") {
				t.Errorf("error %v, want one that names TIMEOUT", err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	var count atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { count.Add(1) }))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil

	_, err := post(t, t.Context(), transport.Config{}, server.URL)
	var own *transport.Error
	if !errors.As(err, &own) || !strings.Contains(own.Reason, "unknown authority") || own.Attempts != 1 || own.Advice == "" {
		t.Errorf("error %v (advice %v), want one attempt and an unknown authority", err, own)
	}

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	if got, err := post(t, t.Context(), transport.Config{RootCAs: roots}, server.URL); got != 200 {
		t.Errorf("with the authority given: %d, %v", got, err)
	}

	other := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	_, err = post(t, t.Context(), transport.Config{RootCAs: roots}, other)
	if !errors.As(err, &own) || !strings.Contains(own.Reason, "another host") || own.Attempts != 1 {
		t.Errorf("error %v, want one attempt and a certificate for another host", err)
	}
	if count.Load() != 1 {
		t.Errorf("%d requests came through, want the one that was trusted", count.Load())
	}
}

func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	if _, err := post(t, t.Context(), transport.Config{}, "http://192.0.2.1/"); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("error %v, want a refusal before anything is sent", err)
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	var lines []string
	url, _ := answers(t, status(503, "Retry-After", "0"), status(200))
	if _, err := post(t, t.Context(), transport.Config{Trace: func(line string) { lines = append(lines, line) }}, url); err != nil {
		t.Fatal(err)
	}
	told := len(lines) == 2 && strings.Contains(lines[0], "attempt 1: status 503") && strings.Contains(lines[1], "attempt 2: status 200")
	if !told || strings.Contains(strings.Join(lines, ""), "canary") {
		t.Errorf("traces %q", lines)
	}
}

// TestCheckURL: the address of a token endpoint may have a path and a query, but no fragment (RFC 6749, section 3.2).
func TestCheckURL(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://idp.example.com/oauth/token?tenant=acme": true,
		"http://LOCALHOST:1/token":                        true,
		"http://idp.example.com/token":                    false,
		"https://user@idp.example.com/token":              false,
		"https://idp.example.com/token#":                  false,
	} {
		if err := transport.CheckURL(address); (err == nil) != ok {
			t.Errorf("CheckURL(%q) = %v, want ok: %v", address, err, ok)
		}
	}
}

func TestCheckEndpoint(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"https://sts.example.com":       true,
		"https://sts.example.com/":      true,
		"https://sts.example.com:8443":  true,
		"https://sts.example.com:65536": false,
		"https://a\u202eb.example.com":  false,
		"https://sts.\u200bexample.com": false,
		"https://sts.example.com:0":     false,
		"http://127.0.0.1:8080":         true,
		"http://127.9.9.9":              true,
		"http://localhost:1":            true,
		"http://[::1]:1":                true,
		"http://sts.example.com":        false,
		"http://localhost.example.com":  false,
		"http://127.0.0.1.example.com":  false,
		"http://127.0.0.1@example.com":  false,
		"https://user:pass@example.com": false,
		"https://example.com/path":      false,
		"https://example.com?x=1":       false,
		"https://example.com?":          false,
		"https://example.com#":          false,
		"https://example.com#x":         false,
		"https://":                      false,
		"https://:443":                  false,
		"sts.example.com":               false,
		"//sts.example.com":             false,
		"ftp://127.0.0.1":               false,
		"https://exa mple.com":          false,
		"https://example.com\r\nX: y":   false,
		"":                              false,
	} {
		if err := transport.CheckEndpoint(endpoint); (err == nil) != ok {
			t.Errorf("CheckEndpoint(%q) = %v, want ok: %v", endpoint, err, ok)
		}
	}
}
