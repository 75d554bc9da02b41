package transport

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"bitbucket-oidc/internal/clock"
)

const (
	// maxAnswer caps an answer of a token service. The largest that is expected is an AWS session of a few kB; Google's access tokens have at
	// most 12 kB.
	maxAnswer = 1 << 20

	// One attempt may take as long as this, its answer's body included, so that a server that hangs leaves time for
	// another try within the default TIMEOUT of 60 s. AWS STS itself waits 5 s for an identity provider.
	attemptTimeout = 15 * time.Second
)

// A retrier sends a request until it has an answer that counts, or the schedule ends.
type retrier struct {
	Config
	base http.RoundTripper
	draw func(longest time.Duration) time.Duration // evenly, from zero to below longest

	allowed func(*url.URL) error // returns why a URL must not be asked, or nil
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := r.allowed(req.URL); err != nil {
		return nil, &Error{Host: req.URL.Host, Reason: err.Error(), cause: err}
	}
	body, err := whole(req)
	if err != nil {
		return nil, err
	}
	ctx, plan := req.Context(), schedule{draw: r.draw}
	for {
		a := r.attempt(req, body, plan.attempt+1)
		pause, again := plan.next(r.fault(a), asked(a.resp, time.Now()), left(ctx))
		r.trace(req, a, pause, again)
		if !again {
			return a.result()
		}
		if !wait(ctx, pause) {
			return nil, stopped(ctx, req.URL.Host)
		}
	}
}

// whole reads a request's body, which every attempt sends anew.
func whole(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer req.Body.Close()
	return io.ReadAll(req.Body)
}

// wait waits for a pause to end, and reports whether ctx let it.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// An attempt has either an answer or an error.
type attempt struct {
	number int // from 1
	took   time.Duration
	resp   *http.Response
	err    *Error
}

// attempt makes one attempt.
func (r *retrier) attempt(req *http.Request, body []byte, number int) attempt {
	began := time.Now()
	resp, err := r.once(req, body)
	if err != nil {
		err.Attempts = number
	}
	return attempt{number, time.Since(began), resp, err}
}

// result is what a RoundTripper returns: its error is nil, and not an [*Error] that is nil, where there is an answer.
func (a attempt) result() (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	return a.resp, nil
}

// once sends the request and reads the whole answer.
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

// fault is the kind of an attempt's failure. A success is [Lasts] too.
func (r *retrier) fault(a attempt) Fault {
	if a.err != nil {
		if a.err.passes {
			return Passes
		}
		return Lasts
	}
	code, known := a.resp.StatusCode, Lasts
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
	body, _ := io.ReadAll(a.resp.Body)
	a.resp.Body = io.NopCloser(bytes.NewReader(body))
	return max(known, r.Judge(code, body))
}

func (r *retrier) trace(req *http.Request, a attempt, pause time.Duration, again bool) {
	if r.Trace == nil {
		return
	}
	outcome := ""
	if a.err != nil {
		outcome = a.err.Reason
	} else {
		outcome = "status " + strconv.Itoa(a.resp.StatusCode)
	}
	line := fmt.Sprintf("%s %s: attempt %d: %s in %s", req.Method, req.URL.Host, a.number, outcome, a.took.Round(time.Millisecond))
	if again {
		line += ", trying again in " + pause.Round(time.Millisecond).String()
	}
	r.Trace(line)
}
