// Package live reads what is deployed from the clouds themselves, with the credentials that login left. It reads and changes nothing:
// TestOperations lists every request that it can send.
package live

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/transport"
)

// Config says what to read, and with which credentials. A source without a credential is not asked: its reading says so.
type Config struct {
	AWS    AWS
	Google Google
	Vault  Vault

	Trace func(line string) // of each attempt of a request; nil for nobody

	// Progress is told how far the reading is, such as: aws:123456789012: 3,000 roles. Nil for nobody. It may be called by several
	// goroutines at once.
	Progress func(line string)
}

// A Reading is what one account, project, provider or mount holds, or why it could not be read.
type Reading struct {
	Source    string // such as aws:123456789012
	Documents []Document

	// Err is why the source was not read, or not whole.
	Err error
}

// A Document is in the form in which the cloud's own tools print it. A role that does not name Bitbucket is without its policy.
type Document struct {
	Target string // what it is about, if the document itself does not say
	Data   []byte
}

// Read reads every source that c names. It ends when ctx does: the readings that are not finished by then say so.
func Read(ctx context.Context, c Config) []Reading {
	var readings []Reading
	var each [3][]Reading
	var all sync.WaitGroup
	for i, read := range []func(context.Context, Config) []Reading{readAWS, readGoogle, readVault} {
		all.Go(func() { each[i] = read(ctx, c) })
	}
	all.Wait()
	for _, some := range each {
		readings = append(readings, some...)
	}
	return readings
}

// largest bounds an answer: a page of a thousand roles, each with the longest policy that IAM keeps, URL-encoded.
const largest = 32 << 20

// client returns a client for one service. roots are the authorities to trust; nil means the system's.
func (c Config) client(roots *x509.CertPool, judge func(status int, body []byte) transport.Fault) *http.Client {
	return transport.New(transport.Config{RootCAs: roots, Judge: judge, Trace: c.Trace, Largest: largest})
}

func (c Config) progress(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}

// several runs work for each of n things, so many at once. A thing that is not begun when ctx ends fails at once.
func several(ctx context.Context, n, atOnce int, work func(i int)) {
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := range n {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			work(i) // it fails at once, and says why
			continue
		}
		all.Go(func() {
			defer func() { <-places }()
			work(i)
		})
	}
	all.Wait()
}

// properName matches the name of a role or of a service account, as it can be shown.
var properName = pattern.New(`^[\w.@-]{1,128}$`)

// named is the name of a thing in an error: its kind, and its name if it can be shown.
func named(kind, text string) string {
	if !properName.MatchString(text) {
		return kind
	}
	return kind + " " + text
}

// word matches a code of a server's that can be shown.
var word = pattern.New(`^[A-Za-z][A-Za-z0-9._]{0,63}$`)

// errNoCredential is why a source was not asked.
func errNoCredential(what string) error { return errors.New("login left no credential of " + what) }

// ends is how long an assumed role lasts: a reading takes minutes.
const ends = 15 * time.Minute
