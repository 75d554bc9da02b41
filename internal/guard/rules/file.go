// Package rules is the language of guardrails: named rules in CEL that a login must meet before a credential exists. A file is
// checked whole when it is read, with the types of its variables, so a misspelt field is a mistake of the file and not a rule
// that never holds.
package rules

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/strictyaml"
)

// Bounds of a file. An expression of the samples costs less than 1,000.
const (
	MaxFile  = 256 << 10 // bytes
	maxRules = 200
	maxCost  = 100_000 // CEL's cost units, an expression
)

// An Action is what a broken rule leads to.
type Action string

// The actions.
const (
	Deny  Action = "deny"  // the login is refused
	Warn  Action = "warn"  // it is printed
	Audit Action = "audit" // it is recorded, and not printed
)

// A File is a file of guardrails without a mistake.
type File struct {
	Name   string
	SHA256 string
	Audit  bool // mode: audit: everything is reported and nothing is refused
	Rules  []Rule
	Tests  []Test

	constants map[string]any
	variables []variable
}

// A Rule is what a login must meet.
type Rule struct {
	Name, Message, Fix, Link string
	Action                   Action
	Until                    time.Time // the last day, in UTC, on which the action is milder than deny; zero for no end
	Line, Column             int

	when, require *expression // when is nil where the rule holds always
	reads         reads
}

// ActionAt is the rule's action at a time: a relaxation that is over denies.
func (r Rule) ActionAt(now time.Time) Action {
	if !r.Until.IsZero() && !now.Before(r.Until.AddDate(0, 0, 1)) {
		return Deny
	}
	return r.Action
}

type variable struct {
	name string
	expression
}

// Recognise reports whether data is meant as a file of guardrails: a YAML mapping with rules.
func Recognise(data []byte) bool {
	doc, err := strictyaml.Read(data, MaxFile)
	return err == nil && slices.ContainsFunc(doc.Root.Entries(), func(e strictyaml.Entry) bool { return e.Key == "rules" })
}

// Read reads a file. Its error joins everything that is wrong with the file, each with line and column.
func Read(name string, data []byte) (*File, error) {
	doc, err := strictyaml.Read(data, MaxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := &File{Name: name, SHA256: digest(data)}
	c := &compiler{file: f, names: map[string]bool{}}
	c.compile(doc.Root)
	var errs []error
	for _, problem := range doc.Problems() {
		errs = append(errs, fmt.Errorf("%s: %w", name, problem))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f, nil
}

var (
	ruleName     = pattern.New(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	variableName = pattern.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

	// AWS has twelve digits, the first of which may be zeros; Google's numbers of projects have up to twelve.
	accountNumber = pattern.New(`^(0[0-9]+|[0-9]{10,})$`)
)

func (c *compiler) compile(root strictyaml.Value) {
	field := root.Fields("version", "mode", "constants", "variables", "rules", "tests")
	if version := field("version").Required(root, "version"); version.Present() && version.Any() != int64(1) {
		version.Problem("expected 1")
	}
	c.file.Audit = oneOf(field("mode"), "enforce", "audit") == "audit"
	c.constants(field("constants"))
	if !c.start(root) {
		return
	}
	for _, v := range field("variables").Items() {
		c.variable(v)
	}
	rules := field("rules").Required(root, "rules")
	items := rules.Items()
	if rules.Present() && len(items) == 0 {
		rules.Problem("there is no rule: a file that refuses nothing is not meant")
	}
	if len(items) > maxRules {
		rules.Problem("%d rules: at most %d are allowed", len(items), maxRules)
		return
	}
	for _, v := range items {
		c.rule(v)
	}
	for _, v := range field("tests").Items() {
		c.test(v)
	}
}

// oneOf is a text of a list, or the first one where the file has none.
func oneOf(v strictyaml.Value, allowed ...string) string {
	text := cmp.Or(v.Text(), allowed[0])
	if !slices.Contains(allowed, text) {
		v.Problem("expected %s", strings.Join(allowed, " or "))
	}
	return text
}

func (c *compiler) constants(v strictyaml.Value) {
	c.file.constants = map[string]any{}
	for _, e := range v.Entries() {
		if !variableName.MatchString(e.Key) {
			e.Value.Problem("the name of a constant has letters, digits and underscores only")
		}
		quoted(e.Value)
		c.file.constants[e.Key] = e.Value.Any()
	}
}

// quoted reports numbers of accounts and projects: no text of an input is equal to a number, so a rule that compares the two would
// always hold or never.
func quoted(v strictyaml.Value) {
	switch v.Any().(type) {
	case []any:
		for _, item := range v.Items() {
			quoted(item)
		}
	case map[string]any:
		for _, e := range v.Entries() {
			quoted(e.Value)
		}
	case int64, float64:
		if accountNumber.MatchString(v.Scalar()) {
			v.Problem("a number such as that of an account is a text: put it in quotes")
		}
	}
}

func (c *compiler) variable(v strictyaml.Value) {
	field := v.Fields("name", "expression")
	name := field("name").Required(v, "name")
	text := name.Text()
	switch {
	case text == "":
	case !variableName.MatchString(text):
		name.Problem("the name of a variable has letters, digits and underscores only")
	case c.names[text] || slices.Contains(inputs(), text):
		name.Problem("the name is taken")
	default:
		c.names[text] = true
		c.declare(text, c.expression(field("expression").Required(v, "expression")), name)
	}
}

func (c *compiler) rule(v strictyaml.Value) {
	field := v.Fields("name", "when", "require", "message", "fix", "link", "action", "until")
	r := Rule{
		Message: field("message").Required(v, "message").Text(), Fix: field("fix").Text(), Link: field("link").Text(),
		Action: Action(oneOf(field("action"), string(Deny), string(Warn), string(Audit))), Until: field("until").Date(),
		Line: v.Line(), Column: v.Column(),
	}
	if link, err := url.Parse(r.Link); r.Link != "" && (err != nil || link.Host == "" || link.Scheme != "https" && link.Scheme != "http") {
		field("link").Problem("expected an address such as https://wiki.example.com/guardrails")
	}
	name := field("name").Required(v, "name")
	r.Name = name.Text()
	switch {
	case r.Name == "":
	case !ruleName.MatchString(r.Name) || r.Name == mapRule || guard.RecordKey == "guard."+r.Name:
		name.Problem("expected a name in small letters, digits and dashes, other than map and input")
	case slices.ContainsFunc(c.file.Rules, func(o Rule) bool { return o.Name == r.Name }):
		name.Problem("another rule has the same name")
	}
	if when := field("when"); when.Present() {
		r.when = c.condition(when)
	}
	r.require = c.condition(field("require").Required(v, "require"))
	r.reads = c.readsOf(r)
	c.file.Rules = append(c.file.Rules, r)
}
