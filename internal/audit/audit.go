// Package audit judges bitbucket-pipelines.yml: which identity each step has, what it asks for with it, and what is wrong with
// that. It promises to say nothing that the file does not show: what a program, a script of the repository or a variable does
// is not guessed.
package audit

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/pipelines"
)

// Options are what the file does not say.
type Options struct {
	OurPipes []string // names of pipes that are this one under another name
	Judges   []Judge  // what else is asked about each class
}

// A Result is what a file says.
type Result struct {
	File     string     `json:"file"`
	Classes  []Class    `json:"classes"`
	Steps    []Step     `json:"steps"`
	Findings []Finding  `json:"findings"`
	Accepted []Accepted `json:"accepted"`
}

// A Finding is a finding with the steps that share it.
type Finding struct {
	finding.Finding
	Steps []string `json:"steps"` // paths
}

// An Accepted finding is one that a comment of the file accepts.
type Accepted struct {
	Finding
	Why   string `json:"why"`
	Until string `json:"until"`
}

// A Class is the steps that a cloud cannot tell apart by their subject.
type Class struct {
	Subject     string   `json:"subject"`
	Environment *string  `json:"environment"`
	Undecided   bool     `json:"-"` // whether the subject of the steps is not known
	Steps       []string `json:"steps"`
	Asks        []Ask    `json:"asks"`
}

// An Ask is an identity that steps ask a cloud for.
type Ask struct {
	Cloud string  `json:"cloud"`
	Who   *string `json:"who"`
}

// A Step is a step with its identity.
type Step struct {
	Path        string    `json:"path"`
	Line        int       `json:"line"`
	Kind        string    `json:"kind"`
	Pattern     string    `json:"pattern"`
	Name        string    `json:"name"`
	Start       string    `json:"start"` // automatic or manual
	Token       bool      `json:"token"`
	OIDCLine    int       `json:"oidcLine,omitempty"`
	Audiences   []string  `json:"audiences,omitempty"`
	Environment *string   `json:"environment"`
	Subject     *string   `json:"subject"`
	Branches    []string  `json:"branches"`
	Clouds      []Cloud   `json:"clouds"`
	Verdicts    []Verdict `json:"verdicts"`

	Deploys     bool `json:"-"` // whether the environment is a deployment's; of another one it is open what the token says
	PullRequest bool `json:"-"` // whether an unreviewed change runs the step
}

// Asks are the identities that the step asks for with its token.
func (s *Step) Asks() []Ask {
	var all []Ask
	for _, c := range s.Clouds {
		if s.Token && c.How != "static-keys" && c.Who != nil {
			all = append(all, Ask{c.Cloud, c.Who})
		}
	}
	return all
}

// A Cloud is a sign-in that a step makes.
type Cloud struct {
	Cloud string  `json:"cloud"`
	How   string  `json:"how"`
	Who   *string `json:"who"` // nil where the file does not say
	Line  int     `json:"line"`

	column int
}

// A Verdict is what a trust document decides about a step.
type Verdict struct {
	Document string `json:"document"`
	Name     string `json:"name"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason"`
}

// A Judge finds more about the steps of a file, from what lies outside of it: trust documents, an access map, guardrails.
type Judge interface {
	Rules() []finding.Rule // that it looks for
	Judge(steps []*Step) []Judgement
}

// A Judgement is what a [Judge] finds about steps.
type Judgement struct {
	Rule     finding.Rule
	Severity finding.Severity
	Steps    []*Step // the first one has the finding's line; without one it is about the file
	About    string  // what the finding is about beside the step: part of its id
	Message  string
	Fix      finding.Fix
}

// File judges one file.
func File(name string, data []byte, o Options) Result {
	r := &run{file: name, options: o, source: strings.Split(string(data), "\n"), found: map[key]int{}, ids: map[string]bool{}}
	parsed, err := pipelines.Parse(data)
	if err != nil {
		r.unreadable(err)
		return r.result()
	}
	r.parsed = parsed
	if !r.study() {
		r.unreadable(&pipelines.Unreadable{Place: place{Line: 1, Column: 1}, Reason: fmt.Sprintf("its steps have more than %d commands", maxCommands)})
		return r.result()
	}
	for _, d := range detections() {
		d.find(r)
	}
	r.judges()
	return r.result()
}

// A run is one judgement of one file.
type run struct {
	file    string
	options Options
	source  []string
	parsed  *pipelines.File
	steps   []*step
	found   map[key]int // index of the finding of a rule on a line
	all     []Finding
	ids     map[string]bool
}

type key struct {
	rule string
	line int
	what string // of findings that others than the file decide: each role has its own
}

// A report is a finding in the making.
type report struct {
	rule     finding.Rule
	severity finding.Severity // empty for the rule's own
	at       pipelines.Place
	path     string
	about    string // what stays while the thing stays: a command, a name
	steps    []*step
	message  string
	fix      finding.Fix
	replace  *finding.Edit
	what     string // see key
}

// report adds a finding. A rule has one finding for a line: steps that share it, through an anchor, are added to it.
func (r *run) report(p report) {
	severity := cmp.Or(p.severity, p.rule.Severity)
	k := key{p.rule.Name, p.at.Line, p.what}
	if i, ok := r.found[k]; ok {
		f := &r.all[i]
		for _, s := range p.steps {
			if !slices.Contains(f.Steps, s.Path) {
				f.Steps = append(f.Steps, s.Path)
				f.Replace = nil // the edit is of one step
			}
		}
		if rank(severity) > rank(f.Severity) {
			f.Severity, f.Message, f.Fix = severity, p.message, p.fix
		}
		return
	}
	f := Finding{Steps: []string{}}
	f.Rule, f.Severity, f.File, f.Line, f.Column = p.rule.Name, severity, r.file, p.at.Line, p.at.Column
	f.Path, f.Message, f.Fix, f.Docs, f.Replace = p.path, p.message, p.fix, finding.Docs(p.rule.Name), p.replace
	if f.Fix.Text == "" {
		f.Fix = finding.Fix{Kind: finding.Advice, Text: p.rule.Fix}
	}
	for _, s := range p.steps {
		f.Steps = append(f.Steps, s.Path)
		f.Path = cmp.Or(f.Path, s.Path)
	}
	about := p.about
	if len(p.steps) > 0 {
		about += "\x00" + p.steps[0].stable()
	}
	f.ID = r.identify(f.Rule, about)
	for n := 2; r.ids[f.ID]; n++ {
		f.ID = r.identify(f.Rule, about, strconv.Itoa(n))
	}
	r.ids[f.ID] = true
	r.found[k] = len(r.all)
	r.all = append(r.all, f)
}

// identify is the id of a finding in the file, however the file is spelled. What comes from standard input is the file that
// Bitbucket reads: a finding of `git show main:bitbucket-pipelines.yml` is the same as one of the checkout.
func (r *run) identify(parts ...string) string {
	name := path.Clean(r.file)
	if name == "-" {
		name = pipelines.FileName
	}
	return finding.Identify(append([]string{"audit", name}, parts...)...)
}

func rank(s finding.Severity) int {
	return map[finding.Severity]int{finding.Note: 0, finding.Warning: 1, finding.Error: 2}[s]
}

// position matches the index of a step or a group in a path.
var position = pattern.New(`\[\d+\]`)

// faults reports the faults of one kind that the reader of the file found.
func (r *run) faults(kind pipelines.FaultKind, rule finding.Rule, fix finding.Fix) {
	for _, f := range r.parsed.Faults {
		if f.Kind != kind {
			continue
		}
		p := report{rule: rule, at: f.Place, path: f.Path, about: position.ReplaceAllString(f.Path+"\x00"+f.Text, "[]"), message: f.Text, fix: fix}
		for _, s := range r.steps {
			if slices.ContainsFunc(append([]string{f.Path}, f.Also...), s.has) {
				p.steps = append(p.steps, s)
			}
		}
		r.report(p)
	}
}

// result puts everything together.
func (r *run) result() Result {
	res := Result{File: r.file, Classes: r.classes(), Steps: []Step{}, Findings: []Finding{}, Accepted: []Accepted{}}
	for _, s := range r.steps {
		res.Steps = append(res.Steps, s.Step)
	}
	slices.SortStableFunc(r.all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(rank(b.Severity), rank(a.Severity)), cmp.Compare(a.Rule, b.Rule))
	})
	res.Findings, res.Accepted = r.ignored(r.all)
	secret := map[int]bool{}
	for _, f := range r.all {
		secret[f.Line] = secret[f.Line] || f.Rule == keysInFile().Name
	}
	for i := range res.Findings {
		res.Findings[i].Secret = secret[res.Findings[i].Line]
	}
	return res
}

// classes are the identities that clouds can tell apart: each environment, all other steps, and the steps for which the subject is not known.
func (r *run) classes() []Class {
	all := []Class{}
	index := map[string]int{}
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		name := strings.ToLower(*s.Subject)
		i, ok := index[name]
		if !ok {
			i = len(all)
			index[name] = i
			all = append(all, Class{
				Subject: *s.Subject, Environment: s.Environment, Undecided: s.Environment != nil && !s.src.Deploys,
				Steps: []string{}, Asks: []Ask{},
			})
		}
		all[i].Steps = append(all[i].Steps, s.Path)
		for _, c := range s.Clouds {
			if c.How != "static-keys" && !slices.ContainsFunc(all[i].Asks, func(a Ask) bool { return a.Cloud == c.Cloud && str(a.Who) == str(c.Who) }) {
				all[i].Asks = append(all[i].Asks, Ask{c.Cloud, c.Who})
			}
		}
	}
	return all
}

// judges asks what lies outside of the file.
func (r *run) judges() {
	steps := make([]*Step, len(r.steps))
	for i, s := range r.steps {
		steps[i] = &s.Step
	}
	for _, judge := range r.options.Judges {
		for _, j := range judge.Judge(steps) {
			p := report{rule: j.Rule, severity: j.Severity, about: j.About, message: j.Message, fix: j.Fix, what: j.About}
			for _, s := range j.Steps {
				p.steps = append(p.steps, r.steps[slices.Index(steps, s)])
			}
			p.at = place{Line: 1, Column: 1}
			if len(p.steps) > 0 {
				p.at = p.steps[0].src.Place
			}
			r.report(p)
		}
	}
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func ptr(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
