package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// An Error is a request without a usable answer. Its text is written by this package: it contains nothing that a server sent.
type Error struct {
	Host     string
	Attempts int
	Reason   string
	Advice   string // what to change, or empty
	cause    error
	passes   bool // whether another attempt may succeed
}

func (e *Error) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("%s: %s (%d attempts)", e.Host, e.Reason, e.Attempts)
	}
	return e.Host + ": " + e.Reason
}

// Unwrap returns the cause, to be compared and never printed.
func (e *Error) Unwrap() error { return e.cause }

// Unreachable is the [*Error] behind an error of a client that was made here, or nil if there was an answer. Clouds' clients return the
// context's own error instead when the deadline has passed.
func Unreachable(ctx context.Context, endpoint string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if ctx.Err() == nil {
		return nil
	}
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		endpoint = u.Host
	}
	return stopped(ctx, endpoint)
}

// stopped is the error of a request that ended because the whole command did.
func stopped(ctx context.Context, host string) *Error {
	e := &Error{Host: host, Reason: "stopped", Advice: "somebody or something stopped the step: run it again", cause: context.Cause(ctx)}
	if errors.Is(e.cause, context.DeadlineExceeded) {
		e.Reason = "no answer before TIMEOUT ran out"
		e.Advice = "raise TIMEOUT if the service is only slow; otherwise look at the proxy and at what the runner may reach"
	}
	return e
}

// failure turns an error of net/http into a message. It names only kinds that are known here, because the text of the others may
// quote what a server or a proxy sent.
func failure(req *http.Request, err error) *Error {
	if req.Context().Err() != nil {
		return stopped(req.Context(), req.URL.Host)
	}
	e := &Error{Host: req.URL.Host, Attempts: 1, cause: err, passes: true}

	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var op *net.OpError
	var refusal proxyRefusal
	switch {
	case errors.As(err, &refusal):
		e.Reason = fmt.Sprintf("the proxy refuses the connection (status %d)", int(refusal))
		e.Advice = "the proxy must let the runner reach this host: look at HTTPS_PROXY and NO_PROXY"
		e.passes = refusal >= 500
	case errors.As(err, &unknown):
		e.Reason = "its certificate is signed by an unknown authority"
		e.Advice = "a proxy that opens TLS, or a server with a private authority, needs that authority in SSL_CERT_FILE (all backends), AWS_CA_BUNDLE or VAULT_CACERT: a file inside the build directory, which takes the place of the public authorities"
		e.passes = false
	case errors.As(err, &hostname):
		e.Reason = "its certificate is for another host"
		e.Advice = "look at the endpoint variables and the proxy: the server that answered is not the one that was asked"
		e.passes = false
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Reason = "its certificate has expired, or the runner's clock is wrong"
		e.passes = false
	case errors.As(err, &verification), errors.As(err, &invalid):
		e.Reason = "its certificate cannot be verified"
		e.passes = false
	case errors.As(err, &record):
		e.Reason = "its answer is not TLS"
		e.Advice = "look at the endpoint variables and the proxy: the server speaks plain http"
		e.passes = false
	case errors.As(err, &op) && op.Op == "proxyconnect": // before the case of a name that is not found: the name is the proxy's
		e.Reason = "the proxy could not be reached"
		e.Advice = "look at HTTPS_PROXY and NO_PROXY"
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Reason = "no such host"
		e.Advice = "look at the variables that name the host, such as the region or an endpoint, and whether the runner can resolve it"
	case errors.As(err, &dns):
		e.Reason = "its name could not be looked up"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		e.Reason = "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason = "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.Reason = "the connection was closed before the answer was whole"
	default:
		e.Reason = "the request failed"
	}
	return e
}

// proxyRefusal is the status with which a proxy answers CONNECT.
type proxyRefusal int

func (proxyRefusal) Error() string { return "refused by the proxy" }

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
