package trust

import "slices"

// findings are what the checks of a document notice, in their order.
type findings []Finding

func (f *findings) find(severity Severity, rule, path, message, fix string) {
	*f = append(*f, Finding{Rule: rule, Severity: severity, Path: path, Message: message, Fix: fix})
}

// A ruling gathers what the checks of a document come to. One that refuses outweighs one that cannot tell, and that one outweighs
// those that pass; among equals the first counts.
type ruling struct {
	findings
	verdict Verdict // empty as long as every check passed
	reason  string
}

func (r *ruling) deny(reason string) {
	if r.verdict != Deny {
		r.verdict, r.reason = Deny, reason
	}
}

func (r *ruling) undecide(reason string) {
	if r.verdict == "" {
		r.verdict, r.reason = Undecided, reason
	}
}

// refuse is a denial that is a finding as well.
func (r *ruling) refuse(rule, path, message, fix string) {
	r.deny(message)
	r.find(Error, rule, path, message, fix)
}

// result is the ruling as the judgement of a document. passed is the reason where every check passed.
func (r *ruling) result(kind, name, passed string) Result {
	result := Result{Kind: kind, Name: name, Verdict: r.verdict, Reason: r.reason, Findings: slices.Clone(r.findings)}
	if r.verdict == "" {
		result.Verdict, result.Reason = Allow, passed
	}
	return result
}
