// Package report writes what a command found, in every format that can be asked for. A command fills in a [Report], and every
// format shows the same: first the result, then what the command has to say, then each finding with its place and its fix.
package report

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/visible"
)

// A Report is what a command found.
type Report struct {
	Command  string // check, audit, drift
	Version  string // of the program
	Now      time.Time
	Headline string // the result, without a full stop: it follows the counts of findings
	Inputs   []Input
	Rules    []finding.Rule // every rule that the command can find, in the order of the documentation
	Verdicts []Verdict
	Unjudged []Unjudged // files in which nothing was judged; each has a section of the command's
	Sections []Section  // in the order in which they are shown
	Flow     []Edge     // who becomes what, for a picture
	Origin   Origin
	Accepted []Accepted // at first those that a comment in a file accepts; see [Report.Accept]
	Strict   bool       // whether warnings count as errors

	// JSON is the command's own document, made when the rest of the report is settled. Its findings come from [Split].
	JSON func(r *Report) any
}

// An Input is a file that was read.
type Input struct {
	Name string
	Data []byte
}

// A Verdict is what a document decides.
type Verdict struct {
	File, Kind, Name, Verdict, Reason string

	Counts finding.Severity // the severity with which the verdict counts for the exit status; empty if it does not count
	New    *bool            // whether the baseline lacks it; nil without one
}

// Unjudged is a file that was read and in which nothing was judged.
type Unjudged struct {
	File   string `json:"file"`
	Reason string `json:"reason"` // a sentence
}

// A Section is a part of a report.
type Section struct {
	Title    string // one line; it may begin with ✔, ✖ or ? and a blank
	Body     Text   // what the command has to say of it
	Findings []finding.Finding
	Together bool // whether title and body are about the findings alone, and are left out if all of them are accepted

	accepting bool // about a list of accepted findings
}

// An Accepted finding does not count.
type Accepted struct {
	finding.Finding
	Why     string
	Until   string // a day such as 2027-03-31; empty where there is none
	Comment bool   // accepted by a comment in the file itself, not by a list
}

// Origin is the commit that the files are of, as far as the step's variables say it.
type Origin struct{ Repository, Commit, Branch string } // Repository is a URL

// Layers of a flow, from the left.
const (
	Step = iota
	Token
	Provider
	Role
	Account
	layers
)

// A Node is somebody or something in a flow. Nodes of a layer with one name are one.
type Node struct {
	Layer int
	Name  string
}

// An Edge of a flow leads from one layer to the next one, or past some.
type Edge struct {
	From, To Node
	Verdict  string // allow, deny, undecided, or the kind of a difference; empty where nothing was judged
	Says     string // a few words about the edge, or empty
}

// Findings are the findings of all sections, in their order.
func (r *Report) Findings() []finding.Finding {
	var all []finding.Finding
	for _, s := range r.Sections {
		all = append(all, s.Findings...)
	}
	return all
}

// AboutAccepting are the findings about lists of accepted findings. They belong to every command's JSON, beside its own.
func (r *Report) AboutAccepting() []finding.Finding {
	all := []finding.Finding{}
	for _, s := range r.Sections {
		if s.accepting {
			all = append(all, s.Findings...)
		}
	}
	return all
}

// bad reports whether a severity makes the command fail.
func (r *Report) bad(s finding.Severity) bool {
	return s == finding.Error || r.Strict && s == finding.Warning
}

// Failed reports whether the command fails: there is a finding or a verdict of severity error, with Strict also of severity warning,
// that the baseline does not have.
func (r *Report) Failed() bool {
	counts := func(s finding.Severity, isNew *bool) bool { return r.bad(s) && (isNew == nil || *isNew) }
	return slices.ContainsFunc(r.Findings(), func(f finding.Finding) bool { return counts(f.Severity, f.New) }) ||
		slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return counts(v.Counts, v.New) })
}

// Split divides the findings of a command. Findings that count have New if there is a baseline. Findings that are accepted are written
// whole, with why and until.
func Split[F any, P interface {
	*F
	Base() *finding.Finding
}](r *Report, all []F) (stand []F, accepted []any) {
	stand, accepted = []F{}, []any{}
	news := map[string]*bool{}
	for _, f := range r.Findings() {
		news[f.ID] = f.New
	}
	for _, f := range all {
		base := P(&f).Base()
		if i := slices.IndexFunc(r.Accepted, func(a Accepted) bool { return a.ID == base.ID }); i >= 0 {
			accepted = append(accepted, waived{f, r.Accepted[i].Why, r.Accepted[i].Until})
			continue
		}
		base.New = news[base.ID]
		stand = append(stand, f)
	}
	return stand, accepted
}

// waived is an accepted finding as JSON has it.
type waived struct {
	finding    any
	why, until string
}

// MarshalJSON adds two members to the finding.
func (w waived) MarshalJSON() ([]byte, error) {
	whole, err := json.Marshal(w.finding)
	if err != nil {
		return nil, err
	}
	more := document.Tight(struct {
		Why   string `json:"why"`
		Until string `json:"until"`
	}{w.why, w.until})
	return append(append(whole[:len(whole)-1], ','), more[1:]...), nil
}

// A Format is a way to write a report.
type Format struct {
	Name  string
	Says  string // what it is, for help
	Write func(r *Report, colour bool) string
}

// Formats lists the formats. The first is the default.
func Formats() []Format {
	return []Format{
		{"text", "the default", writeText},
		{"json", "for programs", func(r *Report, _ bool) string { return visibleJSON(r.JSON(r)) }},
		{"sarif", "2.1.0, for code scanners", writeSARIF},
		{"html", "one page, for people", writeHTML},
	}
}

// visibleJSON is JSON in which characters that do not print are written out, as JSON allows.
func visibleJSON(v any) string { return visible.Lines(document.Indented(v)) }

// Graver orders findings by how much they matter: new ones before known ones, then by severity.
func Graver(a, b finding.Finding) int {
	rank := map[finding.Severity]int{finding.Error: 0, finding.Warning: 1, finding.Note: 2}
	known := func(f finding.Finding) int {
		if f.New != nil && !*f.New {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(known(a), known(b)), cmp.Compare(rank[a.Severity], rank[b.Severity]))
}
