package trust

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

// Quoted lists values in a message, each in quotes.
func Quoted(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(shown, " and ")
}

// mostFindings is how many findings of a rule are kept for one document. More say nothing new, and would take memory without bound.
const mostFindings = 100

// Findings are what the checks of a document notice, in their order.
type Findings struct {
	all   []finding.Finding
	count map[string]int // by rule, also of findings that are not kept
}

// Find adds a finding. [Source.Place] gives it its place and its id.
func (f *Findings) Find(severity finding.Severity, rule, path, message string, fix finding.Fix) {
	if f.count == nil {
		f.count = map[string]int{}
	}
	if f.count[rule]++; f.count[rule] <= mostFindings {
		f.all = append(f.all, finding.Finding{Rule: rule, Severity: severity, Path: path, Message: message, Fix: fix})
	}
}

// FindWith adds a finding with a witness: somebody who gets in and should not.
func (f *Findings) FindWith(witness *bitbucket.Identity, severity finding.Severity, rule, path, message string, fix finding.Fix) {
	kept := len(f.all)
	f.Find(severity, rule, path, message, fix)
	if witness != nil && len(f.all) > kept {
		f.all[kept].Witness = witness.All
	}
}

// Skip reports whether no more findings of a rule are kept. If so it counts one finding more, and the caller need not make its fix.
func (f *Findings) Skip(rule string) bool {
	if f.count[rule] < mostFindings {
		return false
	}
	f.count[rule]++
	return true
}

// Found reports whether a rule was found.
func (f *Findings) Found(rule string) bool { return f.count[rule] > 0 }

// Clone is a copy to which findings can be added.
func (f *Findings) Clone() Findings { return Findings{slices.Clone(f.all), maps.Clone(f.count)} }

// All are the findings. The last finding of a rule says how many more of the rule there are.
func (f *Findings) All() []finding.Finding {
	all := slices.Clone(f.all)
	told := map[string]bool{}
	for i := len(all) - 1; i >= 0; i-- {
		rule := all[i].Rule
		if more := f.count[rule] - mostFindings; more > 0 && !told[rule] {
			all[i].Message += fmt.Sprintf(" And %d more.", more)
		}
		told[rule] = true
	}
	return all
}

// A Ruling gathers the results of the checks of a document. A check that refuses outweighs a check that cannot decide, which outweighs
// checks that pass. Among equal results the first counts.
type Ruling struct {
	Findings
	verdict Verdict // empty while every check has passed
	reason  string
}

// Deny is for a check that refuses.
func (r *Ruling) Deny(reason string) {
	if r.verdict != Deny {
		r.verdict, r.reason = Deny, reason
	}
}

// Undecide is for a check that cannot decide.
func (r *Ruling) Undecide(reason string) {
	if r.verdict == "" {
		r.verdict, r.reason = Undecided, reason
	}
}

// Refuse is a denial that is also a finding.
func (r *Ruling) Refuse(rule, path, message string, fix finding.Fix) {
	r.Deny(message)
	r.Find(finding.Error, rule, path, message, fix)
}

// Result is the judgement of a document. passed is its reason if every check has passed.
func (r *Ruling) Result(kind Kind, name, passed string) Result {
	result := Result{Kind: kind, Name: name, Verdict: r.verdict, Reason: r.reason, Findings: r.All()}
	if r.verdict == "" {
		result.Verdict, result.Reason = Allow, passed
	}
	return result
}
