package cloud

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	loopback     = "127.0.0.1:0"
	requestLimit = 1 << 20          // far over any request that the fakes accept
	serverLimit  = 60 * time.Second // on every read, write and hang: a forgotten client ends no later
)

// A Server stands in front of a fake: it remembers every request, and fails those it was told to fail. It is an
// [http.Handler] itself, so that a test can put it behind TLS.
type Server struct {
	URL string // http://127.0.0.1:PORT, without a trailing slash; empty unless made by [Serve]

	fake http.Handler
	http *http.Server

	mu       sync.Mutex
	requests []*Request
	faults   []Fault
}

// NewServer puts a recorder and a queue of faults in front of a fake.
func NewServer(fake http.Handler) *Server { return &Server{fake: fake} }

// Serve is [NewServer] on a free port of the loopback interface.
func Serve(fake http.Handler) (*Server, error) {
	listener, err := net.Listen("tcp", loopback)
	if err != nil {
		return nil, err
	}
	return serveOn(listener, fake), nil
}

func serveOn(listener net.Listener, fake http.Handler) *Server {
	s := NewServer(fake)
	s.URL = "http://" + listener.Addr().String()
	s.http = &http.Server{
		Handler:      s,
		ReadTimeout:  serverLimit,
		WriteTimeout: serverLimit,
		ErrorLog:     log.New(io.Discard, "", 0), // connections that a fault cut short
	}
	go func() { _ = s.http.Serve(listener) }() // ends with Close
	return s
}

// Close ends the server and every request under way.
func (s *Server) Close() {
	if s.http != nil {
		_ = s.http.Close()
	}
}

// Inject makes the next requests meet these faults, one each, in order, after those injected before.
func (s *Server) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Requests are those received so far, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Request, len(s.requests))
	for i, r := range s.requests {
		list[i] = *r
	}
	return list
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), serverLimit)
	defer cancel()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestLimit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		return // the client left
	}
	record := describe(r, body)

	s.mu.Lock()
	s.requests = append(s.requests, record)
	var fault Fault
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()

	ctx = context.WithValue(ctx, callerKey{}, func(principal string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		record.Principal = principal
	})
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if fault != nil {
		fault(w, r, s.fake)
		return
	}
	s.fake.ServeHTTP(w, r)
}

// callerKey holds, in a request's context, how to put the caller's name on record.
type callerKey struct{}

// noteCaller puts on record who the caller proved to be.
func noteCaller(r *http.Request, principal string) {
	if note, ok := r.Context().Value(callerKey{}).(func(string)); ok {
		note(principal)
	}
}
