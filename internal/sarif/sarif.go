// Package sarif writes findings in the form that code scanners exchange: SARIF 2.1.0 (OASIS). Each finding is a result;
// verdicts, for which SARIF has no place, are in the run's properties.
package sarif

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

// A Region begins at a line and a column, both from 1.
type Region struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
}

// Logical is a path in a document.
type Logical struct {
	Name string `json:"fullyQualifiedName"`
}

// A Verdict is what a document decides.
type Verdict struct {
	File    string        `json:"file"`
	Kind    string        `json:"kind"`
	Name    string        `json:"name"`
	Verdict trust.Verdict `json:"verdict"`
	Reason  string        `json:"reason"`
}

// New is the log of a judgement of files by a version of the program. Braces in messages stand for themselves: they would be
// doubled only where a message has arguments, and none has.
func New(version string, files []trust.File, results []trust.Result) Log {
	run := Run{ColumnKind: "unicodeCodePoints", Results: []Result{}}
	rules := judge.Rules()
	run.Tool.Driver.Name, run.Tool.Driver.Version = "bitbucket-oidc", version
	for _, rule := range rules {
		r := Rule{ID: rule.Name, Short: Message{rule.Finds}, Help: Message{rule.Why + "\n\nFix: " + rule.Fix}}
		r.Defaults.Level = string(rule.Severity) // SARIF's levels have the same names
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, r)
	}
	run.Properties.Verdicts = []Verdict{}
	indexes := map[string]document.Index{}
	for _, file := range files {
		indexes[file.Name] = document.NewIndex(file.Data)
	}
	for _, r := range results {
		run.Properties.Verdicts = append(run.Properties.Verdicts, Verdict{r.File, r.Kind, r.Name, r.Verdict, r.Reason})
		for _, f := range r.Findings {
			run.Results = append(run.Results, Result{
				RuleID:    f.Rule,
				RuleIndex: slices.IndexFunc(rules, func(rule finding.Rule) bool { return rule.Name == f.Rule }),
				Level:     string(f.Severity),
				Message:   Message{f.Message + "\n\nFix: " + f.Fix},
				Locations: []Location{locate(indexes[r.File], r, f)},
			})
		}
	}
	return Log{Schema: Schema, Version: "2.1.0", Runs: []Run{run}}
}

func locate(file document.Index, r trust.Result, f trust.Finding) Location {
	var l Location
	l.Physical.Artifact.URI = uri(r.File)
	l.Physical.Region.StartLine, l.Physical.Region.StartColumn = file.Locate(r.Name, f.Path)
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
