// Package trust has the words of a judgement: verdicts, results, and values that may be unknown. What is judged is in the packages
// below it, one for each kind of trust.
package trust

import (
	"time"

	"bitbucket-oidc/internal/finding"
)

// Whole gives empty lists in place of none: the output promises lists.
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

// Options are what a judgement depends on beside the identity.
type Options struct {
	// Now is the time against which a token's and a provider's own expiry are told. Conditions on the time of the request
	// are undecided all the same.
	Now time.Time

	// Duration is the session duration that will be asked for.
	Duration time.Duration
}

// A File is a document to judge. Its kind is recognised by its content, never by its name.
type File struct {
	Name string
	Data []byte

	// Target is what the document is of, in the form of an access map, where the caller knows it and the document does not say it: the
	// policy of a service account, a role of Vault.
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

// A Verdict is never guessed: what depends on something that neither the file nor the identity says is undecided.
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
	Name     string            `json:"name"` // the role, the provider's id, the service account; empty where the file does not say
	Verdict  Verdict           `json:"verdict"`
	Reason   string            `json:"reason"` // one sentence
	Steps    []Step            `json:"steps"`  // empty for kinds other than roles
	Findings []finding.Finding `json:"findings"`

	ARN string `json:"-"` // of a role, where the file says it: roles of several accounts share a name
}

// A Step is a statement of a role's trust policy.
type Step struct {
	Path       string      `json:"path"` // relative to the policy document, such as Statement[0]
	Effect     string      `json:"effect"`
	Matches    *bool       `json:"matches"` // null where it is undecided
	Conditions []Condition `json:"conditions"`
}

// A Condition is one operator on one key.
type Condition struct {
	Path     string   `json:"path"`
	Operator string   `json:"operator"`
	Key      string   `json:"key"`
	Expected []string `json:"expected"`
	Actual   []string `json:"actual"` // empty where the identity has no such key
	Holds    *bool    `json:"holds"`  // null where it depends on something unknown

	Negated bool `json:"-"` // none of the expected values may match
	Wild    bool `json:"-"` // * and ? in the expected values are wildcards

	// Change is the smallest change that makes a condition hold that fails or, under Deny, stops it from refusing the identity. It is
	// empty where the condition is not in the way of the identity.
	Change string `json:"-"`
}
