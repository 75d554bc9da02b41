// Package federation is the contract between a login and the clouds: what a backend promises, and the trade with all of
// them at once, which gives every credential or none.
package federation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/secret"
)

// A Backend trades a step's identity token for one cloud's credentials.
type Backend interface {
	// Name is lower-case and short, such as "aws". It prefixes messages and names the backend's folder.
	Name() string

	// Exchange makes the trade. It writes nothing: the caller decides what becomes of the result. A failure begins with
	// the backend's name and, where it has several, the credential's; several failures are joined. Errors that a user can
	// mend carry a hint.
	Exchange(ctx context.Context, token oidc.Token) ([]Credentials, error)
}

// A Revoker is a Backend that can end its credentials before their time.
type Revoker interface {
	Backend

	// Revoke ends the credentials whose files read gives back. A file that is not there, which is fs.ErrNotExist, is nothing to
	// revoke.
	Revoke(ctx context.Context, read func(file string) (secret.Text, error)) error
}

// Credentials are what a Backend obtained, ready to hand to later commands.
type Credentials struct {
	Name      string    // which of the backend's credentials, such as a profile
	Principal string    // who the step now is; safe to print
	Expires   time.Time // zero if the cloud did not say
	Files     []File    // may stand in several Credentials of one backend, with the same data
	Env       []Var     // for the whole backend; given with any of its Credentials

	// Lengthen is advice for whoever needs them for longer.
	Lengthen string

	// Refreshes tells that clients renew the credentials by themselves until Expires.
	Refreshes bool

	// Registry is set in place of Files where the credentials are Docker's, for one registry.
	Registry *Registry
}

// A Registry is where Docker logs in.
type Registry struct {
	Host     string // with its port, if it has one
	Username string
	Password secret.Text
}

// A File holds a secret, or the way to one.
type File struct {
	Path string // below the output directory, with slashes; begins with the backend's name
	Data secret.Text
}

// A Var is an environment variable of later commands: a value, the path of a file, the contents of a file, or unset.
type Var struct {
	Name  string
	Value string // holds no secret
	File  string // in place of Value: the absolute path of this file, given as in [File]
	Unset bool

	// Contents is in place of Value, for tools that can read only a variable: the file is read when env.sh is sourced, so
	// that env.sh holds no secret.
	Contents string
}

// A Grant is all that one backend obtained.
type Grant struct {
	Backend     string
	Credentials []Credentials

	// Clock is how the runner's clock compares with that of the backend's cloud.
	Clock *clock.Observed
}

// Exchange trades token with every backend side by side, so that a login costs its slowest backend and not their sum.
// It is all or nothing: the error joins every failure, and with an error there are no grants.
func Exchange(ctx context.Context, token oidc.Token, backends []Backend) ([]Grant, error) {
	grants := make([]Grant, len(backends))
	errs := make([]error, len(backends))
	var all sync.WaitGroup
	for i, b := range backends {
		all.Go(func() {
			ctx, observed := clock.Watch(ctx)
			credentials, err := b.Exchange(ctx, token)
			grants[i], errs[i] = Grant{b.Name(), credentials, observed}, clockFirst(err, observed)
		})
	}
	all.Wait()
	if err := errors.Join(append(errs, shared(grants))...); err != nil {
		return nil, err
	}
	return grants, nil
}

// clockFirst puts the runner's clock first among the hints of each refusal that a wrong clock explains.
func clockFirst(err error, observed *clock.Observed) error {
	failures := hint.Failures(err)
	for i, failure := range failures {
		var refused *refusal.Error
		if !errors.As(failure, &refused) {
			continue
		}
		if advice := observed.Advice(refused.Clock); advice != "" {
			failures[i] = hint.With(failure, advice)
		}
	}
	return errors.Join(failures...)
}

// shared is an error for each variable that two backends have: later commands would see one of the two.
func shared(grants []Grant) error {
	owner := map[string]string{}
	var errs []error
	for _, g := range grants {
		for _, c := range g.Credentials {
			for _, v := range c.Env {
				if other, taken := owner[v.Name]; taken && other != g.Backend {
					errs = append(errs, hint.New(fmt.Sprintf("%s: %s belongs to %s", g.Backend, v.Name, other), "name another variable in OAUTH_TOKEN_VARIABLE"))
				}
				owner[v.Name] = g.Backend
			}
		}
	}
	return errors.Join(errs...)
}
