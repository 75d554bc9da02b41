// Package transport makes the one kind of HTTP client that backends use: over https (plain http to a loopback host
// only), without redirects, every answer read whole and capped, temporary failures retried within the deadline.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
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
