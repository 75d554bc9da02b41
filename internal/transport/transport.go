// Package transport makes the one kind of HTTP client that backends use: over https (plain http to a loopback host
// only), without redirects, every answer read whole and capped, transient faults tried again within the deadline.
package transport

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bitbucket-oidc/internal/clock"
)

const (
	// attempts is how often a request is sent at most.
	attempts = 5

	// maxAnswer caps an answer of a token service. The largest that is expected is an AWS session of a few kB; Google's access tokens have at
	// most 12 kB.
	maxAnswer = 1 << 20

	// One attempt may take as long as this, its answer's body included, so that a server that hangs leaves time for
	// another try within the default TIMEOUT of 60 s. AWS STS itself waits 5 s for an identity provider.
	attemptTimeout = 15 * time.Second

	// The pause before attempt n+1 is drawn evenly from zero to firstPause doubled n-1 times: full jitter, which clears a
	// crowd of clients fastest (AWS Architecture Blog, "Exponential Backoff And Jitter").
	firstPause = 500 * time.Millisecond

	// A throttled client is one of many, and has few attempts. After the first such answer the pause is up to firstThrottled, so
	// that a client that is alone waits for a second. After the second answer there are more clients than the server takes: the
	// pause is up to nextThrottled, and doubles with each further answer. That spreads the clients over the time that they have,
	// because no pause is longer than two thirds of it. docs/evidence/herd.md shows the effect.
	firstThrottled = 2 * time.Second
	nextThrottled  = 60 * time.Second

	// maxAsked caps what Retry-After can ask for: it is past every deadline, and sums with it do not overflow.
	maxAsked = 1000 * time.Hour
)

// Config says what is particular to one backend's requests.
type Config struct {
	// RootCAs are the authorities to trust; nil means the system's, which SSL_CERT_FILE can name.
	RootCAs *x509.CertPool

	// Judge returns the fault that an answer with a status of 400 and above reports in its body. If it differs from the fault of the
	// status (see [Fault]), the one that is more likely to be temporary counts. With nil the status alone decides; 429 always is
	// a throttling.
	Judge func(status int, body []byte) Fault

	// Trace, if not nil, is called after each attempt with a line that holds no secret.
	Trace func(line string)

	// Largest caps an answer, in bytes; zero means 1 MiB.
	Largest int
}

// A Fault is the kind of a failure: whether another attempt may succeed.
type Fault int

// The faults. The one that is most likely to be temporary is last.
const (
	Lasts     Fault = iota // another attempt would get the same answer: any status that is not named below
	Passes                 // 408, 425 and 5xx
	Throttled              // 429: too many ask at once
)

// New returns a client as the package describes it. Its errors are [*Error]s inside the *url.Error of net/http.
func New(c Config) *http.Client { return client(c, proxy, checkScheme) }

// Through returns a client for one host, which it asks over plain http and only through one proxy: Bitbucket's own, which stands beside
// the step and adds the credential. It would not see what is inside https. No other proxy counts.
func Through(c Config, beside *url.URL, host string) *http.Client {
	only := func(u *url.URL) error {
		if u.Scheme != "http" || u.Host != host {
			return errors.New("another host")
		}
		return nil
	}
	return client(c, http.ProxyURL(beside), only)
}

func client(c Config, proxy func(*http.Request) (*url.URL, error), allowed func(*url.URL) error) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	// Not HTTP/2: a client sends a few requests, one after another, and one frame of a server can lock up net/http's client, its
	// deadlines included (TestHTTP2WindowOverflow in test).
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Client{
		Transport: &retrier{
			Config:  c,
			draw:    rand.N[time.Duration],
			allowed: allowed,
			base: &http.Transport{
				Proxy:                  proxy,
				DialContext:            dialLoopback(dialer),
				TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    10 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
				OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
					if answer.StatusCode == http.StatusOK {
						return nil
					}
					return proxyRefusal(answer.StatusCode)
				},
				Protocols: &protocols,
			},
		},
	}
}

// proxy is the proxy of a request over https. A request over plain http goes to a loopback host and is not encrypted: no proxy may see it.
// net/http makes an exception of its own for localhost, but not for LOCALHOST.
func proxy(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme == "http" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// dialLoopback dials localhost, however it is written, by the loopback addresses: no resolver may say that it is another host.
func dialLoopback(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil || !strings.EqualFold(host, "localhost") {
			return d.DialContext(ctx, network, address)
		}
		conn, err := d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			if other, otherErr := d.DialContext(ctx, network, net.JoinHostPort("::1", port)); otherErr == nil {
				return other, nil
			}
		}
		return conn, err
	}
}

// CheckEndpoint returns why raw cannot be the base URL of a service, or returns nil. The reason does not quote raw.
func CheckEndpoint(raw string) error {
	u, err := checkURL(raw)
	switch {
	case err != nil:
		return err
	case u.RawQuery != "", u.ForceQuery:
		return errors.New("a URL with a query")
	case u.Path != "" && u.Path != "/":
		return errors.New("a URL with a path")
	}
	return nil
}

// CheckURL returns why raw cannot be the address of a request, or returns nil. The reason does not quote raw. It may have a query
// (RFC 6749, section 3.2).
func CheckURL(raw string) error {
	_, err := checkURL(raw)
	return err
}

func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "", u.Hostname() == "":
		return nil, errors.New("not a URL")
	case u.User != nil:
		return nil, errors.New("a URL with a user name")
	case strings.Contains(raw, "#"): // an empty fragment leaves no trace in u
		return nil, errors.New("a URL with a fragment")
	}
	return u, checkScheme(u)
}

func checkScheme(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return errors.New("not https")
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

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

// Unreachable is the [*Error] behind an error of a client that was made here, or nil if there was an answer. Clients of
// clouds drop it for the context's own error when the deadline has passed.
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

type retrier struct {
	Config
	base http.RoundTripper
	draw func(longest time.Duration) time.Duration // evenly, from zero to below longest

	allowed func(*url.URL) error // says why a URL is not asked
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := r.allowed(req.URL); err != nil {
		return nil, &Error{Host: req.URL.Host, Reason: err.Error(), cause: err}
	}
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	throttled := 0
	for attempt := 1; ; attempt++ {
		began := time.Now()
		resp, err := r.once(req, body)
		if err != nil {
			err.Attempts = attempt
		}
		fault := r.fault(resp, err)
		longest := firstPause << (attempt - 1)
		if fault == Throttled {
			throttled++
			longest = longestThrottled(throttled)
		}
		pause, again := time.Duration(0), false
		if fault != Lasts && attempt < attempts {
			pause, again = r.pause(req.Context(), longest, resp)
		}
		r.trace(req, attempt, time.Since(began), resp, err, pause, again)
		if !again {
			if err != nil {
				return nil, err
			}
			return resp, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-req.Context().Done():
			timer.Stop()
			return nil, stopped(req.Context(), req.URL.Host)
		}
	}
}

// once makes one attempt and reads the whole answer.
func (r *retrier) once(req *http.Request, body []byte) (*http.Response, *Error) {
	ctx, cancel := context.WithTimeout(req.Context(), attemptTimeout)
	defer cancel()
	clone := req.Clone(ctx)
	if req.Body != nil {
		clone.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := r.base.RoundTrip(clone)
	if err != nil {
		return nil, failure(req, err)
	}
	defer resp.Body.Close()
	clock.Observe(ctx, req.URL.Host, resp.Header.Get("Date"), time.Now())
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, &Error{
			Host: req.URL.Host, Attempts: 1, Reason: "answered with a redirect, which is not followed",
			Advice: "something between this step and " + req.URL.Host + " redirects the request: look at the endpoint variables and the proxy",
		}
	}
	largest := cmp.Or(r.Largest, maxAnswer)
	answer, err := io.ReadAll(io.LimitReader(resp.Body, int64(largest)+1))
	switch {
	case len(answer) > largest && resp.StatusCode < 400:
		return nil, &Error{Host: req.URL.Host, Attempts: 1, Reason: fmt.Sprintf("an answer of more than %d bytes", largest)}
	case len(answer) > largest:
		answer = nil // an error page: the status is enough
	case err != nil:
		return nil, failure(req, err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	resp.ContentLength = int64(len(answer))
	return resp, nil
}

// longestThrottled bounds the pause after so many answers that throttled a request.
func longestThrottled(answers int) time.Duration {
	if answers == 1 {
		return firstThrottled
	}
	return nextThrottled << (answers - 2)
}

// pause draws a pause of up to longest, and reports whether the deadline leaves room for it. It keeps a third of the time left for
// the attempt. The drawn pause is added to what the server asks for: clients that get the same Retry-After must not return at once.
func (r *retrier) pause(ctx context.Context, longest time.Duration, resp *http.Response) (time.Duration, bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	var asked time.Duration
	if resp != nil {
		var ok bool
		if asked, ok = retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok && asked == 0 {
			return 0, true
		}
	}
	if end, ok := ctx.Deadline(); ok {
		longest = min(longest, (time.Until(end)-asked)*2/3)
	}
	if longest <= 0 {
		return 0, false
	}
	return asked + r.draw(longest), true
}

// fault is the kind of an attempt's failure. A success is [Lasts] too.
func (r *retrier) fault(resp *http.Response, err *Error) Fault {
	if err != nil {
		if err.passes {
			return Passes
		}
		return Lasts
	}
	code, known := resp.StatusCode, Lasts
	switch {
	case code < 400:
		return Lasts
	case code == http.StatusTooManyRequests:
		return Throttled
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= 500:
		known = Passes
	}
	if r.Judge == nil {
		return known
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return max(known, r.Judge(code, body))
}

// retryAfter reads a Retry-After header: seconds or a date (RFC 9110, section 10.2.3). A date in the past asks for no pause: the
// two clocks differ.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxAsked), true
	}
	if date, err := http.ParseTime(value); err == nil && date.After(now) {
		return min(date.Sub(now), maxAsked), true
	}
	return 0, false
}

func (r *retrier) trace(req *http.Request, attempt int, took time.Duration, resp *http.Response, err *Error, pause time.Duration, again bool) {
	if r.Trace == nil {
		return
	}
	outcome := ""
	if err != nil {
		outcome = err.Reason
	} else {
		outcome = "status " + strconv.Itoa(resp.StatusCode)
	}
	line := fmt.Sprintf("%s %s: attempt %d: %s in %s", req.Method, req.URL.Host, attempt, outcome, took.Round(time.Millisecond))
	if again {
		line += ", trying again in " + pause.Round(time.Millisecond).String()
	}
	r.Trace(line)
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
		e.Advice = "a proxy that opens TLS, or a server with a private authority, needs that authority in SSL_CERT_FILE (all backends), AWS_CA_BUNDLE or VAULT_CACERT, a file inside the build directory"
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
