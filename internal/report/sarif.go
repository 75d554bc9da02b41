package report

import (
	"net/url"
	"slices"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
)

// Schema is where the form is described. The log names it, nothing fetches it.
const Schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// A Log is what a SARIF file holds.
type Log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []Run  `json:"runs"`
}

// A Run is one call of a tool.
type Run struct {
	Tool struct {
		Driver Driver `json:"driver"`
	} `json:"tool"`
	ColumnKind string   `json:"columnKind"`
	Results    []Result `json:"results"`
	Properties struct {
		Verdicts []Verdict `json:"verdicts"`
	} `json:"properties"`
}

// A Driver is the tool and its rules.
type Driver struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Rules   []Rule `json:"rules"`
}

// A Rule is described where its findings are shown.
type Rule struct {
	ID       string  `json:"id"`
	Short    Message `json:"shortDescription"`
	HelpURI  string  `json:"helpUri"`
	Help     Message `json:"help"`
	Defaults struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
}

// A Message is text.
type Message struct {
	Text string `json:"text"`
}

// A Result is one finding.
type Result struct {
	RuleID    string     `json:"ruleId"`
	RuleIndex int        `json:"ruleIndex"`
	Level     string     `json:"level"`
	Message   Message    `json:"message"`
	Locations []Location `json:"locations"`

	// Fingerprints let a scanner see that a finding is the one of an earlier run.
	Fingerprints map[string]string `json:"partialFingerprints"`
}

// A Location is a place in a file, and the path of the finding in the document.
type Location struct {
	Physical Physical  `json:"physicalLocation"`
	Logical  []Logical `json:"logicalLocations,omitempty"`
}

// Physical is a place in a file.
type Physical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region Region `json:"region"`
}

// A Region is a range. Lines and columns count from 1; the end is behind the last character.
type Region struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
	EndLine     int `json:"endLine"`
	EndColumn   int `json:"endColumn"`
}

// Logical is a path in a document.
type Logical struct {
	Name string `json:"fullyQualifiedName"`
}

// A Verdict is what a document decides.
type Verdict struct {
	File    string        `json:"file"`
	Kind    trust.Kind    `json:"kind"`
	Name    string        `json:"name"`
	Verdict trust.Verdict `json:"verdict"`
	Reason  string        `json:"reason"`
}

// sarif is the log of a judgement in the form that code scanners exchange: SARIF 2.1.0 (OASIS). Each finding is a result;
// verdicts, for which SARIF has no place, are in the run's properties. Braces in messages stand for themselves: they would be
// doubled only where a message has arguments, and none has.
func sarif(c Check) string {
	run := Run{ColumnKind: "unicodeCodePoints", Results: []Result{}}
	rules := judge.Rules()
	run.Tool.Driver.Name, run.Tool.Driver.Version = "bitbucket-oidc", c.Version
	for _, rule := range rules {
		r := Rule{ID: rule.Name, Short: Message{rule.Finds}, HelpURI: finding.Docs(rule.Name), Help: Message{rule.Why + "\n\nFix: " + rule.Fix}}
		r.Defaults.Level = string(rule.Severity) // SARIF's levels have the same names
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, r)
	}
	run.Properties.Verdicts = []Verdict{}
	for _, r := range c.Results {
		run.Properties.Verdicts = append(run.Properties.Verdicts, Verdict{r.File, r.Kind, r.Name, r.Verdict, r.Reason})
		for _, f := range r.Findings {
			run.Results = append(run.Results, Result{
				RuleID:       f.Rule,
				RuleIndex:    slices.IndexFunc(rules, func(rule finding.Rule) bool { return rule.Name == f.Rule }),
				Level:        string(f.Severity),
				Message:      Message{f.Message + "\n\nFix: " + f.Fix.Text},
				Locations:    []Location{location(f)},
				Fingerprints: map[string]string{"bitbucketOidc/v1": f.ID},
			})
		}
	}
	return document.Indented(Log{Schema: Schema, Version: "2.1.0", Runs: []Run{run}})
}

func location(f finding.Finding) Location {
	var l Location
	l.Physical.Artifact.URI = uri(f.File)
	l.Physical.Region = Region{f.Line, f.Column, f.End.Line, f.End.Column}
	if f.Path != "" {
		l.Logical = []Logical{{f.Path}}
	}
	return l
}

// uri is a file's name as SARIF wants it. Standard input has none, and is named after what it is.
func uri(file string) string {
	switch {
	case file == "-":
		return "stdin"
	case file != "" && file[0] == '/':
		return (&url.URL{Scheme: "file", Path: file}).String()
	}
	return (&url.URL{Path: file}).String()
}
