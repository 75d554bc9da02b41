// Package finding is what a judgement finds: the rule that something breaks, where, and what to do about it. Findings of
// every command have one form, so that they can be accepted, compared and printed in one way.
package finding

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A Severity ranks a finding. Only an error changes the exit status of a command.
type Severity string

// The severities.
const (
	Error   Severity = "error" // it never works, or it lets in somebody who should stay out
	Warning Severity = "warning"
	Note    Severity = "note"
)

// A Rule is what a finding is an instance of. Each rule has a page in the documentation.
type Rule struct {
	Name     string // kebab-case
	Severity Severity
	Milder   Severity // in the cases that Why names; empty where there are none
	Anyone   bool     // whether everybody in the workspace gets in who can write a pipeline
	Finds    string   // one line: what the rule finds
	Why      string
	Fix      string
}

// The kinds of a fix.
const (
	Shell  = "shell"
	JSON   = "json"
	YAML   = "yaml"
	HCL    = "hcl"
	Advice = "advice" // words, not to be pasted
)

// A Fix is what to do about a finding. Text can be pasted unless the kind is Advice.
type Fix struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// A Place is a range in a file. Lines and columns count from 1, columns in characters; the zero Place is none.
type Place struct {
	Line, Column       int
	EndLine, EndColumn int // behind the last character
}

// A Finding is a rule that something breaks.
type Finding struct {
	ID       string   `json:"id"` // see [Identify]
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`   // 0 where the finding is about no line
	Column   int      `json:"column"` // 0 where the finding is about no line
	Path     string   `json:"path"`   // in the document, such as Statement[0].Condition.StringLike
	Message  string   `json:"message"`
	Fix      Fix      `json:"fix"`
	Docs     string   `json:"docs"` // URL of the rule's page

	// Witness are the claims of somebody who gets in and should not, as `check --claims` takes them.
	Witness map[string]any `json:"witness,omitempty"`

	// New reports whether the finding is absent from the baseline. It is nil without a baseline.
	New *bool `json:"new,omitempty"`

	// End is where the range that begins at Line and Column ends, behind its last character; zero where it is not known.
	End Place `json:"-"`

	// Shared is what shares the finding, such as steps by their paths; empty where Path says it.
	Shared []string `json:"-"`

	// Secret reports that the line holds a secret, so no format shows the line.
	Secret bool `json:"-"`

	// Related are other places that the finding is about.
	Related []Related `json:"-"`

	// Replace is the exact edit that mends the finding, where one is known.
	Replace *Edit `json:"-"`
}

// Base is the finding in whatever embeds it.
func (f *Finding) Base() *Finding { return f }

// A Related place is in another file than the finding.
type Related struct {
	File    string
	At      Place
	Message string // what is there: a sentence
}

// An Edit replaces a range of the finding's file.
type Edit struct {
	At   Place
	Text string
}

// Identify returns an id of 12 hexadecimal digits for what parts name: the rule and the thing that the finding is about. The
// id stays the same while the thing stays, so it can be accepted by its id. No part is a line number.
func Identify(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:12]
}

// pages is where the rules are described. ACCOUNT is filled in where the pipe is published, as in pipe.yml.
const pages = "https://bitbucket.org/ACCOUNT/bitbucket-oidc/src/main/docs/rules/"

// Docs is the URL of a rule's page.
func Docs(rule string) string { return pages + rule + ".md" }
