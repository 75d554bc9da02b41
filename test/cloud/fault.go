package cloud

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

// A Fault answers one request instead of the fake, which it may still ask.
type Fault func(w http.ResponseWriter, r *http.Request, fake http.Handler)

// Repeat is the same fault several times, for [Server.Inject].
func Repeat(times int, fault Fault) []Fault {
	faults := make([]Fault, times)
	for i := range faults {
		faults[i] = fault
	}
	return faults
}

// Answer is a fixed answer.
func Answer(status int, header http.Header, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// AWSError is an error of AWS's Query protocol.
func AWSError(status int, code, message string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeAWSError(w, &awsError{status, code, message})
	}
}

// ECRError is an error of AWS's JSON protocol.
func ECRError(status int, code, message string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeECRError(w, status, code, message)
	}
}

// OAuthError is an error of Google's token exchange, [RFC 6749, section 5.2].
func OAuthError(status int, code, description string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeOAuthError(w, &oauthError{status, code, description})
	}
}

// GoogleError is an error of any other Google API. [AIP-193]
func GoogleError(code int, status, message string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeGoogleError(w, &googleError{code: code, status: status, message: message})
	}
}

// Hang keeps silent until the client leaves.
func Hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// HangUp closes the connection instead of an answer.
func HangUp(http.ResponseWriter, *http.Request, http.Handler) {
	panic(http.ErrAbortHandler)
}

// Truncate gives the fake's own answer, but loses the connection half way through the body.
func Truncate(w http.ResponseWriter, r *http.Request, fake http.Handler) {
	answer := httptest.NewRecorder()
	fake.ServeHTTP(answer, r)
	body := answer.Body.Bytes()
	maps.Copy(w.Header(), answer.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush() // or the abort would drop what is buffered
	panic(http.ErrAbortHandler)
}

// HTML is a captive portal: success, and nothing of what was asked for.
func HTML(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!DOCTYPE html><title>Sign in to the network</title><p>Please sign in.")
}

// Redirect sends the client elsewhere, in the way that would take the request's body along.
func Redirect(to string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// Pass lets the request through, to fail a later one.
func Pass(w http.ResponseWriter, r *http.Request, fake http.Handler) { fake.ServeHTTP(w, r) }

// Oversize is the fake's own answer behind size bytes of white space, which JSON and XML both allow there: only a client
// that reads without end finds the answer.
func Oversize(size int) Fault {
	return func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		answer := httptest.NewRecorder()
		fake.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		block := strings.Repeat(" ", 1<<16)
		for written := 0; written < size; written += len(block) {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
		_, _ = w.Write(answer.Body.Bytes())
	}
}

// Echo answers with a status and everything that the request said, secrets included: such a body must not be repeated.
func Echo(status int) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.WriteHeader(status)
		_, _ = w.Write(said(r))
	}
}

// EchoBehind answers with a status and no body, and sends everything that the request said behind the answer, where nobody asked
// for it. What net/http finds on a connection that is idle it writes to the log of the whole process.
func EchoBehind(status int) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		request := said(r)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d Echo\r\nContent-Length: 0\r\n\r\n%s", status, request)
		_, _ = io.Copy(io.Discard, conn) // until the client leaves: closed at once, the connection would not be idle
	}
}

// said is everything that a request said.
func said(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body)
	headers, _ := json.Marshal(r.Header)
	return fmt.Appendf(nil, "%s\n%s\n", headers, body)
}
