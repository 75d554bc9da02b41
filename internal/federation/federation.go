// Package federation is the contract between a login and the clouds: what a backend promises, and the exchange with all backends at
// once, which gives every credential or none.
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

	// Targets are what Exchange will ask for. It sends nothing.
	Targets() []Target

	// Exchange makes the trade. It writes nothing: the caller decides what to do with the result. A failure begins with
	// the backend's name and, where it has several, the credential's; several failures are joined. Errors that a user can
	// mend carry a hint. With an error the grant has an outcome for each target all the same: what a cloud handed out before it refused
	// another target is valid, and an audit must know about it.
	Exchange(ctx context.Context, token oidc.Token) (Grant, error)
}

// A Revoker is a backend that can also end its credentials before they expire.
type Revoker interface {
	// Revoke ends the credentials in the files that read returns. ErrNotRevoked says that there is nothing to revoke: a file is not there,
	// which is fs.ErrNotExist, or the credential has ended, or it is of a kind that ends by itself only.
	Revoke(ctx context.Context, read func(file string) (secret.Text, error)) error
}

// ErrNotRevoked is the error of a credential that there is no way, and no need, to revoke. It is no failure.
var ErrNotRevoked = errors.New("there is nothing to revoke")

// A Grant is all that one backend obtained.
type Grant struct {
	Backend     string
	Credentials []Credential
	Registries  []Registry
	Files       []File
	Env         []Var
	Outcomes    []Outcome // one for each target, in their order
	Keys        *Keys     // of the first credential, to sign requests of the login's own; nil elsewhere than at AWS

	// Clock is how the runner's clock compares with that of the backend's cloud. [Exchange] sets it.
	Clock *clock.Observed
}

// A Credential is what lets later commands act as a principal. Its secrets are in the grant's files.
type Credential struct {
	Name      string    // which of the backend's credentials, such as a profile
	Principal string    // who the step now is; safe to print
	Expires   time.Time // zero if the cloud did not say
	Files     []string  // the paths of the grant's files that belong to it, or [DockerConfig]

	// Lengthen is advice for a user who needs the credential for longer.
	Lengthen string

	// Refreshes reports that clients renew the credential by themselves until Expires.
	Refreshes bool
}

// DockerConfig is the file that holds the registries of all backends.
const DockerConfig = "docker/config.json"

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

// A Var is an environment variable of later commands: a value, the path of a file, something that a file holds, or unset.
type Var struct {
	Name  string
	Value string // holds no secret
	File  string // instead of Value: the absolute path of this file, given as in [File]
	Unset bool

	// Guess is set where nobody gave Value: the variables of the step that count before it, the first one that has a value.
	Guess []string

	// Contents is used instead of Value, for tools that can read only a variable: the file is read when env.sh is sourced, so
	// that env.sh holds no secret. With Key it is the value of the first line "Key = value" of the file, else its only line.
	Contents string
	Key      string
}

// Targets are what backends will ask for, in their order.
func Targets(backends []Backend) []Target {
	var all []Target
	for _, b := range backends {
		all = append(all, b.Targets()...)
	}
	return all
}

// Exchange trades token with every backend side by side, so that a login costs its slowest backend and not their sum.
// It is all or nothing: the error joins every failure, and with an error there are no grants. The outcomes are there in
// any case, in the order of the backends and their targets.
func Exchange(ctx context.Context, token oidc.Token, backends []Backend) ([]Grant, []Outcome, error) {
	grants := make([]Grant, len(backends))
	errs := make([]error, len(backends))
	var all sync.WaitGroup
	for i, b := range backends {
		all.Go(func() {
			ctx, observed := clock.Watch(ctx)
			grant, err := b.Exchange(ctx, token)
			grant.Clock = observed
			grants[i], errs[i] = grant, clockFirst(err, observed)
		})
	}
	all.Wait()
	var outcomes []Outcome
	for _, g := range grants {
		outcomes = append(outcomes, g.Outcomes...)
	}
	if err := errors.Join(append(errs, shared(grants), unreal(grants))...); err != nil {
		return nil, outcomes, err
	}
	return grants, outcomes, nil
}

// clockFirst puts the advice about the runner's clock first among the hints of each refusal that a wrong clock explains.
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

// unreal is an error for each credential that no cloud can have handed out: it would last for more than ten years, or has expired by the
// clock of the very cloud that answered. An expiry in the past of the runner's clock alone is no error: that clock may be ahead.
func unreal(grants []Grant) error {
	var errs []error
	for _, g := range grants {
		for _, c := range g.Credentials {
			what := ""
			switch {
			case g.expired(c):
				what = "the expiry date is in the past"
			case c.Expires.UTC().Year() > 9999:
				what = "the expiry date is out of range"
			case c.Expires.After(time.Now().Add(longest)):
				what = "the expiry date is more than ten years away"
			default:
				continue
			}
			errs = append(errs, hint.New(fmt.Sprintf("%s %s: %s", g.Backend, c.Name, what),
				"something other than the service may have answered: look at the endpoint variables and the proxy"))
		}
	}
	return errors.Join(errs...)
}

// expired reports whether the credential had ended when it was handed out, by the runner's clock and by the cloud's. One that clients
// renew lasts as long as the step's token, to which a cloud may add some minutes.
func (g Grant) expired(c Credential) bool {
	now := time.Now()
	theirs, known := g.Clock.Now(now)
	return known && !c.Refreshes && !c.Expires.IsZero() && c.Expires.Before(now) && c.Expires.Before(theirs)
}

// shared is an error for each variable that two backends have: later commands would see one of the two.
func shared(grants []Grant) error {
	owner := map[string]string{}
	var errs []error
	for _, g := range grants {
		for _, v := range g.Env {
			if other, taken := owner[v.Name]; taken && other != g.Backend {
				errs = append(errs, hint.New(fmt.Sprintf("%s: %s belongs to %s", g.Backend, v.Name, other), "name another variable in OAUTH_TOKEN_VARIABLE"))
			}
			owner[v.Name] = g.Backend
		}
	}
	return errors.Join(errs...)
}
