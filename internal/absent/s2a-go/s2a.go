// Package s2a replaces Google's library for S2A, a service on Google's own machines that holds the keys of a workload and is
// asked over gRPC. A step of Bitbucket Pipelines has no such service: this package dials nothing.
package s2a

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

var errAbsent = errors.New("this program is built without S2A")

// ClientOptions are those that Google's clients set.
type ClientOptions struct {
	S2AAddress     string
	TransportCreds credentials.TransportCredentials
}

// NewClientCreds returns an error: Google's clients go on without S2A.
func NewClientCreds(*ClientOptions) (credentials.TransportCredentials, error) {
	return nil, errAbsent
}

// NewS2ADialTLSContextFunc returns a function that dials nothing and returns an error.
func NewS2ADialTLSContextFunc(*ClientOptions) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errAbsent }
}
