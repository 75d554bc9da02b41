// Package client replaces Google's library for the certificates of managed laptops. That library starts a program that a file
// names, and an environment variable names the file. A process that holds a step's token must not start such a program: this package
// has no certificate.
package client

import (
	"crypto"
	"errors"
	"io"
)

// ErrCredUnavailable says that the machine has no such certificate. Google's clients go on without one.
var ErrCredUnavailable = errors.New("this program is built without the enterprise certificate proxy")

// Cred returns [ErrCredUnavailable], whatever file it is given.
func Cred(string) (*Key, error) { return nil, ErrCredUnavailable }

// A Key would be the certificate and what signs with it. Nobody has one.
type Key struct{}

// Close does nothing.
func (*Key) Close() error { return nil }

// CertificateChain returns no certificate.
func (*Key) CertificateChain() [][]byte { return nil }

// Public returns no key.
func (*Key) Public() crypto.PublicKey { return nil }

// Sign returns [ErrCredUnavailable].
func (*Key) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, ErrCredUnavailable
}
