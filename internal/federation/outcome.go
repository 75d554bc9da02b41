package federation

import (
	"cmp"
	"errors"
	"time"

	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/secret"
)

// A Target is one credential that a login is about to ask for. It holds no secret: guardrails and records are made of it.
type Target struct {
	Backend, Name string // such as "aws" and "default"

	// Identity is the principal that the step would become first: a role's ARN, a service account, the resource name of a provider for
	// direct federation, a role of Vault, or the service's own name for it.
	Identity string

	// Via are the roles that are assumed in turn after Identity: the step becomes the last one. On Google Cloud they are the service
	// accounts through which the step becomes Identity.
	Via []string

	// Through is the name of the target whose credential asks for this one, such as the profile of a registry; empty where the token
	// asks.
	Through string

	// Provider is the resource name of Google Cloud's provider that takes the token; empty elsewhere.
	Provider string

	Account string // the AWS account of the credential; empty for other clouds, and if no name contains it
	Project string // of Google Cloud, of the service account or for later commands; empty elsewhere, and where it is not known

	Region, SessionName string // of AWS, where its services are asked and what its sessions are called; empty elsewhere

	Endpoint string        // the host that is asked, with its port if the address has one; empty where the cloud's library knows it
	Lifetime time.Duration // asked for; zero leaves it to the service

	// Narrowed reports that session policies go with the request. Policies are the ARNs of managed ones, and the JSON of an
	// inline one.
	Narrowed bool
	Policies []string

	Resource string   // Identity as a URL, where the target lives on a server of its own, such as that of a Vault role or of Okta's connection
	Audience string   // of what is asked for, where the request names one
	Scopes   []string // asked for
}

// A Call is a request to a cloud that makes or refuses a credential, as it stands in the cloud's own log.
type Call struct {
	Operation string // such as AssumeRoleWithWebIdentity or GenerateAccessToken; empty if nothing was asked for
	RequestID string // empty if the answer has none

	// What the cloud handed out; empty if it refused.
	Principal    string      // such as the ARN of a session
	Account      string      // of AWS
	CredentialID secret.Text // an access key's id or a token's accessor: for records, never for a log
	SessionID    string      // such as AROA…:NAME
	Expires      time.Time   // zero if the cloud did not say
}

// An Outcome is the result for a Target.
type Outcome struct {
	Target Target
	Call
	Started, Ended time.Time // of the whole way to the credential; zero if nothing was asked for

	// Way are the calls before the last one that handed something out, such as those of a chain of roles. With an error, what they
	// handed out is valid all the same.
	Way []Call

	// Err is nil if the credential was handed out. Status and Code are the answer's: an HTTP status, and the service's code
	// where it is one of a known form; zero and empty if there was no answer.
	Err    error
	Status int
	Code   string
}

// ErrNotAsked is the error of a target that was not asked for, because something else was refused before it.
var ErrNotAsked = errors.New("not asked for")

// A Refusal is an error that a service answered with, and the parts of it that an Outcome keeps.
type Refusal struct {
	Status int
	Code   string
	Err    error // has the hints
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives the error that has the hints.
func (r *Refusal) Unwrap() error { return r.Err }

// An Attempt is the way to one credential.
type Attempt struct{ outcome Outcome }

// Begin starts the way to a target's credential.
func Begin(t Target) *Attempt { return &Attempt{Outcome{Target: t, Started: time.Now()}} }

// Called notes a call that was made, with or without success. What the call before it handed out is on the way to the credential.
func (a *Attempt) Called(c Call) {
	if a.outcome.Operation != "" {
		a.outcome.Way = append(a.outcome.Way, a.outcome.Call)
	}
	a.outcome.Call = c
}

// End gives the outcome. An error is that of the last call, or of a judgement of what it handed out.
func (a *Attempt) End(err error) Outcome {
	var answered *Refusal
	if errors.As(err, &answered) {
		a.outcome.Status, a.outcome.Code = answered.Status, answered.Code
	}
	var explained *refusal.Error
	if errors.As(err, &explained) {
		a.outcome.Code = cmp.Or(explained.Code, a.outcome.Code)
	}
	a.outcome.Err, a.outcome.Ended = err, time.Now()
	return a.outcome
}

// longest is longer than the lifetime of any credential that is exchanged for a token of an hour.
const longest = 10 * 365 * 24 * time.Hour

// EndOf is the expiry of a credential that lasts for so many seconds from now on; the zero time for no seconds. It reports false if the
// number is negative or too large.
func EndOf(seconds float64) (time.Time, bool) {
	if !(seconds >= 0 && seconds <= longest.Seconds()) { // not a number, too
		return time.Time{}, false
	}
	if seconds == 0 {
		return time.Time{}, true
	}
	return time.Now().Add(time.Duration(seconds * float64(time.Second))).UTC().Truncate(time.Second), true
}

// NotAsked are the outcomes of targets that were not asked for.
func NotAsked(targets []Target) []Outcome {
	var all []Outcome
	for _, t := range targets {
		all = append(all, Outcome{Target: t, Err: ErrNotAsked})
	}
	return all
}
