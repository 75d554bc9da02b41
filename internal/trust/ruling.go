package trust

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

// Quoted shows values side by side in a message.
func Quoted(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(shown, " and ")
}

// Findings are what the checks of a document notice, in their order.
type Findings []Finding

func (f *Findings) Find(severity finding.Severity, rule, path, message, fix string) {
	*f = append(*f, Finding{Rule: rule, Severity: severity, Path: path, Message: message, Fix: fix})
}

// FindWith finds what somebody shows who gets in and should not, or need not.
func (f *Findings) FindWith(witness *bitbucket.Identity, severity finding.Severity, rule, path, message, fix string) {
	f.Find(severity, rule, path, message, fix)
	if witness != nil {
		(*f)[len(*f)-1].Witness = witness.All
	}
}

// A Ruling gathers what the checks of a document come to. One that refuses outweighs one that cannot tell, and that one outweighs
// those that pass; among equals the first counts.
type Ruling struct {
	Findings
	verdict Verdict // empty as long as every check passed
	reason  string
}

func (r *Ruling) Deny(reason string) {
	if r.verdict != Deny {
		r.verdict, r.reason = Deny, reason
	}
}

func (r *Ruling) Undecide(reason string) {
	if r.verdict == "" {
		r.verdict, r.reason = Undecided, reason
	}
}

// Refuse is a denial that is a finding as well.
func (r *Ruling) Refuse(rule, path, message, fix string) {
	r.Deny(message)
	r.Find(finding.Error, rule, path, message, fix)
}

// Result is the ruling as the judgement of a document. passed is the reason where every check passed.
func (r *Ruling) Result(kind, name, passed string) Result {
	result := Result{Kind: kind, Name: name, Verdict: r.verdict, Reason: r.reason, Findings: slices.Clone(r.Findings)}
	if r.verdict == "" {
		result.Verdict, result.Reason = Allow, passed
	}
	return result
}
