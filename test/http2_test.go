package test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/test/cloud"
)

// TestHTTP2WindowOverflow is why internal/transport keeps to HTTP/1.1, in the form of a report to Go: a server that answers a
// request with one WINDOW_UPDATE frame, of 2³¹-1 on the request's stream, locks up the client of net/http for ever. The deadline
// of the request does not end it.
//
// The cause, in go1.26.8's net/http/h2_bundle.go: (*http2clientConnReadLoop).processWindowUpdate holds cc.mu when the window
// overflows, and calls endStreamError and so (*http2clientStream).abortStream, which locks cc.mu again. RoundTrip, which the
// context wakes, then waits for the same lock. abortStreamLocked in the place of abortStream mends it.
//
//	go test ./test -run TestHTTP2WindowOverflow -v
//
// shows it: while Go has the fault, the client of net/http goes on past its deadline, and both parts pass. Once Go has mended it, the
// second part is skipped and says so.
func TestHTTP2WindowOverflow(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	address, met := overflowing(t, server.TLS.Certificates)
	// try reports whether a client ends within its deadline and a second.
	try := func(client *http.Client) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // time for a handshake, on a busy machine too
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if answer, err := client.Do(request); err == nil {
				_ = answer.Body.Close()
			}
		}()
		select {
		case <-ended:
			return true
		case <-time.After(3 * time.Second):
			return false // it stays locked until the test's process ends
		}
	}
	t.Run("this program's client", func(t *testing.T) {
		if !try(transport.New(transport.Config{RootCAs: roots})) {
			t.Error("it goes on past its deadline")
		}
	})
	t.Run("net/http's client", func(t *testing.T) {
		ended := try(&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}})
		if len(met) == 0 {
			t.Fatal("it did not get the frame")
		}
		if ended {
			t.Skip("this release of Go mends it: internal/transport may speak HTTP/2 again")
		}
	})
}

// overflowing is a server that sends the frame in the place of each answer, and tells of it.
func overflowing(t *testing.T, certificates []tls.Certificate) (address string, met <-chan struct{}) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	frames := make(chan struct{}, 16)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer conn.Close()
				cloud.OverflowWindow(conn, func() { frames <- struct{}{} })
			}()
		}
	}()
	return listener.Addr().String(), frames
}
