// Package config reads the variables. It takes one snapshot of the environment, returns values of the right type, and collects the
// problems, so that one run reports all of them. It knows no cloud: each backend has its variables beside its configuration.
package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// Vars is a snapshot of the variables, with the problems of the variables that were read. It is not safe for use by several goroutines.
type Vars struct {
	Step

	values   map[string]secret.Text
	names    []string // of values, sorted
	known    []Group
	byName   map[string]Variable
	odd      map[string]oddity // variables whose text cannot be meant
	problems *[]error
	warnings *[]string
	from     int // where the group's own problems begin
}

// Take takes a snapshot of the environment of the process. known are the variables that a user may set.
func Take(known []Group) *Vars {
	step, err := readStep()
	v := New(os.Environ(), step, known)
	v.Add(err)
	return v
}

// New is a snapshot of variables, each in the form NAME=VALUE.
func New(environ []string, step Step, known []Group) *Vars {
	v := &Vars{
		Step: step, known: known, values: map[string]secret.Text{}, byName: map[string]Variable{}, odd: map[string]oddity{}, problems: new([]error),
		warnings: new([]string),
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := v.values[name]; !twice { // as getenv finds the first one
			v.names = append(v.names, name)
		}
		v.values[name] = secret.New(strings.TrimSpace(value))
	}
	slices.Sort(v.names)
	for _, g := range known {
		for _, one := range g.Variables {
			v.byName[one.Name] = one
		}
	}
	return v
}

// Group is the same snapshot, for the variables of one thing. Their problems are problems of v too.
func (v *Vars) Group() *Vars {
	g := *v
	g.from = len(*v.problems)
	return &g
}

// Failed reports whether a problem was added since the group began.
func (v *Vars) Failed() bool { return len(*v.problems) > v.from }

// Err joins the problems, or is nil. What several items of a list, or several readers of a variable, have in common is one problem.
func (v *Vars) Err() error {
	var problems []error
	for _, p := range (*v.problems)[v.from:] {
		if !slices.ContainsFunc(problems, func(other error) bool { return other.Error() == p.Error() }) {
			problems = append(problems, p)
		}
	}
	return errors.Join(problems...)
}

// Add adds a problem, unless err is nil.
func (v *Vars) Add(err error) {
	if err != nil {
		*v.problems = append(*v.problems, err)
	}
}

// Warn keeps a warning for the caller.
func (v *Vars) Warn(text string) { *v.warnings = append(*v.warnings, text) }

// Warnings are about values that are allowed and probably not meant.
func (v *Vars) Warnings() []string { return *v.warnings }

// Advise adds advice to each problem of the group.
func (v *Vars) Advise(advice string) {
	for i := v.from; i < len(*v.problems); i++ {
		(*v.problems)[i] = hint.With((*v.problems)[i], advice)
	}
}

// Wrong reports a variable whose value is not what was expected. The value is described and not quoted: it may be a secret that
// was put into the wrong variable.
func (v *Vars) Wrong(name, value, expected string) { v.Reason(name, errors.New(form(value)), expected) }

// Reason is Wrong with a better description.
func (v *Vars) Reason(name string, reason error, expected string) {
	if o, ok := v.odd[name]; ok { // the problem is already reported: only what was expected is missing
		if !o.complete {
			o.complete = true
			v.odd[name] = o
			(*v.problems)[o.at] = hint.New(name+": "+o.what+": expected "+expected, o.advice)
		}
		return
	}
	v.Add(hint.New(fmt.Sprintf("%s: %s: expected %s", name, reason, expected), "correct "+name+" in bitbucket-pipelines.yml"))
}

// value is a variable's text without the white space around it, or empty.
func (v *Vars) value(name string) string {
	if text, ok := v.values[name]; ok {
		return text.Reveal()
	}
	return ""
}

// IsSet reports whether a variable, or its array form, has a value. An empty array is not a value.
func (v *Vars) IsSet(name string) bool {
	count := v.value(name + "_COUNT")
	return v.value(name) != "" || v.byName[name].List && count != "" && count != "0"
}

// Given reports whether a variable, or its array form, has a value or is an empty array.
func (v *Vars) Given(name string) bool { return v.value(name) != "" || v.value(name+"_COUNT") != "" }

// Text is a variable's value, or else its default.
func (v *Vars) Text(name string) string {
	text := v.value(name)
	if text == "" {
		return v.byName[name].Default
	}
	v.Meant(name, text)
	return text
}

// Secret is the value of a variable that is a secret.
func (v *Vars) Secret(name string) secret.Text { return secret.New(v.Text(name)) }

// An oddity is the problem of a variable with a text that cannot be meant.
type oddity struct {
	what, advice string
	at           int  // among the problems
	complete     bool // the problem says what was expected
}

// Meant reports whether the text of a variable can be meant. A reference that nothing has replaced cannot be meant, and neither can
// quotes that have become part of the value. That is reported once for a variable, and nothing else about its text.
func (v *Vars) Meant(name, text string) bool {
	if v.isOdd(name) {
		return false
	}
	switch {
	case isReference(text):
		v.strange(name, "the name of a variable, as in $NAME, which nothing has replaced by its value",
			"give "+name+" the value itself, or define the variable where the step can see it, without \\ or single quotes before the $ of a script")
	case isQuoted(text):
		v.strange(name, "in quotes, which are part of the value", "remove the quotes that stand inside the value of "+name+": those of YAML are not part of it")
	default:
		return true
	}
	return false
}

func (v *Vars) isOdd(name string) bool { _, ok := v.odd[name]; return ok }

func (v *Vars) strange(name, what, advice string) {
	v.odd[name] = oddity{what: what, advice: advice, at: len(*v.problems)}
	v.Add(hint.New(name+": "+what, advice))
}

// Boolean is a variable's value as a boolean.
func (v *Vars) Boolean(name string) bool {
	text := v.Text(name)
	if text == "" {
		return false
	}
	b, err := parseBool(text)
	if err != nil {
		v.Wrong(name, text, expectedBool)
	}
	return b
}

// Duration is a variable's value as a duration between least and most, or zero where the variable has none.
func (v *Vars) Duration(name string, least, most time.Duration) time.Duration {
	text := v.Text(name)
	if text == "" {
		return 0
	}
	d, err := ParseDuration(text)
	switch {
	case err != nil:
		v.Wrong(name, text, expectedDuration)
	case d < least || d > most:
		v.Reason(name, errors.New(d.String()), short(least)+" to "+short(most))
	}
	return d
}

// Seconds is Duration for the clouds, which count whole seconds.
func (v *Vars) Seconds(name string, least, most time.Duration) time.Duration {
	g := v.Group()
	d := g.Duration(name, least, most)
	if !g.Failed() && d%time.Second != 0 {
		v.Reason(name, errors.New(d.String()), "whole seconds")
	}
	return d
}

// List is the items of a list: X, or X_COUNT with X_0, X_1 and so on, or else of the default.
func (v *Vars) List(name string) []string {
	items, ok := v.array(name)
	if !ok {
		items = split(v.Text(name))
	}
	for _, item := range items {
		v.Meant(name, item)
		if !v.byName[name].Spaces && v.SplitBySpaces(name, item) {
			break
		}
	}
	return items
}

// Filled is the items of a list that decides who the step becomes, or how much it may do. A list of blanks is a problem: its items come
// from variables that are not set, and without them the step would become somebody else.
func (v *Vars) Filled(name, advice string) []string {
	g := v.Group()
	items := g.List(name)
	if len(items) == 0 && v.IsSet(name) && !g.Failed() {
		v.Add(hint.New(name+": an empty list", advice))
	}
	return items
}

// SplitBySpaces adds a problem for an item with white space, which is several items, and reports whether the item has some.
func (v *Vars) SplitBySpaces(name, item string) bool {
	if len(strings.Fields(item)) < 2 {
		return false
	}
	if !v.isOdd(name) {
		v.strange(name, "items split by spaces", "write "+name+" as a YAML list, or as one string split at line breaks or at commas")
	}
	return true
}

// array is the items of a list in array form, and whether it has that form.
func (v *Vars) array(name string) ([]string, bool) {
	countName := name + "_COUNT"
	text := v.value(countName)
	if text == "" {
		return nil, false
	}
	if v.value(name) != "" {
		v.Add(hint.New(name+": set together with "+countName, "give the list once: as a YAML list, or as one string"))
		return nil, true
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 || count > maxList {
		v.Meant(countName, text)
		v.Wrong(countName, text, fmt.Sprintf("a number from 0 to %d", maxList))
		return nil, true
	}
	var items, missing []string
	for i := range count {
		variable := name + "_" + strconv.Itoa(i)
		if _, ok := v.values[variable]; !ok {
			missing = append(missing, variable)
		} else if item := v.value(variable); item != "" {
			items = append(items, item)
		}
	}
	if missing != nil {
		v.Add(hint.New(fmt.Sprintf("%s: missing, though %s is %d", strings.Join(missing, ", "), countName, count),
			"Bitbucket sets the items of a YAML list by itself: write the list under "+name))
	}
	return items, true
}

// Endpoint is a base URL without the slash at its end, or empty.
func (v *Vars) Endpoint(name string) string { return v.CheckEndpoint(name, v.Text(name)) }

// CheckEndpoint is Endpoint for a value that was changed before.
func (v *Vars) CheckEndpoint(name, value string) string {
	if value == "" {
		return ""
	}
	if err := transport.CheckEndpoint(value); err != nil {
		v.Reason(name, err, "a base URL such as https://host.example.com (http is for loopback hosts only)")
	}
	return strings.TrimSuffix(value, "/")
}

// HalfConfigured adds a problem for each variable that is set although main is not: without main it means nothing.
func (v *Vars) HalfConfigured(main string, names ...string) {
	for _, name := range names {
		if v.IsSet(name) {
			v.Add(hint.New(name+": set without "+main, "set "+main+" as well, or remove "+name))
		}
	}
}

// Token is the step's token, which must be there.
func (v *Vars) Token() oidc.Token {
	const name = "BITBUCKET_STEP_OIDC_TOKEN"
	g := v.Group()
	text := g.Text(name)
	switch {
	case text == "":
		v.Add(hint.New(name+": missing", addOIDC))
		return oidc.Token{}
	case g.Failed():
		v.Add(hint.New(name+": not a token", addOIDC))
		return oidc.Token{}
	}
	token, err := oidc.Parse(text)
	if err != nil {
		v.Add(hint.With(err, name+" must hold the token as Bitbucket sets it: do not set it yourself"))
	}
	return token
}

const addOIDC = "add `oidc: true` to the step in bitbucket-pipelines.yml, beside `script:`"
