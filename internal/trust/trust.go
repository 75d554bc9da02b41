// Package trust has the types of a judgement: verdicts, results, and values that may be unknown. Each package below it judges one kind of
// trust configuration.
package trust

import (
	"time"

	"bitbucket-oidc/internal/finding"
)

// Whole replaces missing lists by empty lists: the output promises lists.
func Whole(r Result) Result {
	r.Steps, r.Findings = list(r.Steps), list(r.Findings)
	for i := range r.Steps {
		r.Steps[i].Conditions = list(r.Steps[i].Conditions)
		for j := range r.Steps[i].Conditions {
			c := &r.Steps[i].Conditions[j]
			c.Expected, c.Actual = list(c.Expected), list(c.Actual)
		}
	}
	return r
}

func list[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}

// Options are what a judgement depends on, apart from the identity.
type Options struct {
	// Now is the time that decides whether a token or a provider has expired. Conditions on the time of the request are still undecided.
	Now time.Time

	// Duration is the session duration that will be asked for.
	Duration time.Duration
}

// A File is a document to judge. Its kind is recognised by its content, never by its name.
type File struct {
	Name string
	Data []byte

	// Target is what the document belongs to, in the form of an access map, if the caller knows it and the document does not say it: the
	// service account of a policy, or a role of Vault.
	Target string
}

// A Kind is a kind of document.
type Kind string

// The kinds.
const (
	AWSRole     Kind = "aws-role"
	AWSProvider Kind = "aws-provider"
	GCPProvider Kind = "gcp-provider"
	GCPPolicy   Kind = "gcp-policy"
	VaultRole   Kind = "vault-role"
)

// A Verdict is never guessed: it is undecided if it depends on something that neither the file nor the identity says.
type Verdict string

// The verdicts.
const (
	Allow     Verdict = "allow"
	Deny      Verdict = "deny" // the document refuses, or does not grant
	Undecided Verdict = "undecided"
)

// A Result judges one document, or one role of a list.
type Result struct {
	File     string            `json:"file"`
	Kind     Kind              `json:"kind"`
	Name     string            `json:"name"` // of the role, provider or service account; empty if the file does not say
	Verdict  Verdict           `json:"verdict"`
	Reason   string            `json:"reason"` // one sentence
	Steps    []Step            `json:"steps"`  // empty for kinds other than roles
	Findings []finding.Finding `json:"findings"`

	// Wanted is what the policy of a service account or the role of Vault must contain instead, if that is why the identity does not get in.
	// Other kinds leave it empty.
	Wanted string `json:"-"`

	ARN string `json:"-"` // of a role, if the file says it: roles of several accounts can share a name
}

// A Step is a statement of a role's trust policy.
type Step struct {
	Path       string      `json:"path"` // relative to the policy document, such as Statement[0]
	Effect     string      `json:"effect"`
	Matches    *bool       `json:"matches"` // null if it is undecided
	Conditions []Condition `json:"conditions"`
}

// A Condition is one operator on one key.
type Condition struct {
	Path     string   `json:"path"`
	Operator string   `json:"operator"`
	Key      string   `json:"key"`
	Expected []string `json:"expected"`
	Actual   []string `json:"actual"` // empty if the identity has no such key
	Holds    *bool    `json:"holds"`  // null if it depends on something unknown

	Negated bool `json:"-"` // none of the expected values may match
	Wild    bool `json:"-"` // * and ? in the expected values are wildcards

	// Change is the smallest change that makes a condition hold that fails or, under Deny, stops it from refusing the identity. It is
	// empty if the condition is not in the way of the identity.
	Change string `json:"-"`
}
