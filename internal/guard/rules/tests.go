package rules

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/strictyaml"
)

// A Test says what the file's rules must decide about one input.
type Test struct {
	Name         string
	Given        guard.Input
	Refuse, Warn []string // names of rules
	Line, Column int
}

func (c *compiler) test(v strictyaml.Value) {
	field := v.Fields("name", "given", "refuse", "warn")
	t := Test{Name: field("name").Required(v, "name").Text(), Line: v.Line(), Column: v.Column()}
	given := field("given").Required(v, "given")
	in, timed := inputOf(given)
	t.Given = in
	if given.Present() && !timed && slices.ContainsFunc(c.file.Rules, Rule.Timed) {
		given.Problem("now is missing: a rule reads the clock, and the test would depend on the day")
	}
	t.Refuse, t.Warn = c.ruleNames(field("refuse")), c.ruleNames(field("warn"))
	c.file.Tests = append(c.file.Tests, t)
}

// inputOf reads what a test gives, and reports whether it gives a time. Each value is tried by itself, so that every mistake is reported,
// at its line.
func inputOf(given strictyaml.Value) (in guard.Input, timed bool) {
	sections := []string{"claims", "request", "env", "pipeline", "credential"}
	field := given.Fields(append([]string{"now"}, sections...)...)
	now := field("now")
	if now.Present() {
		try(now, "now", map[string]any{"now": now.Any()})
	}
	for _, section := range sections {
		for _, e := range field(section).Entries() {
			try(e.Value, e.Key, map[string]any{section: map[string]any{e.Key: e.Value.Any()}})
		}
	}
	data, err := json.Marshal(given.Any())
	if err != nil {
		given.Problem("expected what a rule sees")
		return guard.Input{}, now.Present()
	}
	if in, err = guard.ParseInput(data); err != nil {
		return guard.Input{}, now.Present() // reported above
	}
	return in, now.Present()
}

// try reports a value that an input cannot have.
func try(v strictyaml.Value, name string, input any) {
	data, err := json.Marshal(input)
	if err == nil {
		_, err = guard.ParseInput(data)
	}
	if err == nil {
		return
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case strings.Contains(err.Error(), "unknown field"):
		v.Problem("there is no input %q", name)
	case errors.As(err, &wrong) && wrong.Type.Kind() == reflect.Slice:
		v.Problem("expected a list of texts")
	case errors.As(err, &wrong):
		v.Problem("expected a text: put numbers, such as those of accounts, in quotes")
	case strings.HasPrefix(err.Error(), "request.duration"):
		v.Problem("expected a duration such as 1h")
	default:
		v.Problem("expected a time such as 2026-11-28T10:00:00Z")
	}
}

func (c *compiler) ruleNames(v strictyaml.Value) []string {
	var all []string
	for _, item := range v.Items() {
		name := item.Text()
		if !slices.ContainsFunc(c.file.Rules, func(r Rule) bool { return r.Name == name }) {
			item.Problem("there is no rule of this name")
		}
		all = append(all, name)
	}
	return all
}

// Run returns what the test finds wrong, or nothing. The file's mode does not count: a test is about the rules.
func (f *File) Run(ctx context.Context, t Test) []string {
	before := t.Given
	before.Credential = nil
	decisions := f.Judge(ctx, before)
	if t.Given.Credential != nil {
		decisions = append(decisions, f.Judge(ctx, t.Given)...)
	}
	var refuse, warn, wrong []string
	for _, d := range decisions {
		switch {
		case d.Refuses():
			refuse = append(refuse, d.Rule.Name)
			if !slices.Contains(t.Refuse, d.Rule.Name) {
				wrong = append(wrong, d.Rule.Name+" refuses, and should not: "+d.Detail)
			}
		case d.Warns():
			warn = append(warn, d.Rule.Name)
			if !slices.Contains(t.Warn, d.Rule.Name) {
				wrong = append(wrong, d.Rule.Name+" warns, and should not: "+d.Detail)
			}
		}
	}
	for _, name := range t.Refuse {
		if !slices.Contains(refuse, name) {
			wrong = append(wrong, name+" does not refuse")
		}
	}
	for _, name := range t.Warn {
		if !slices.Contains(warn, name) {
			wrong = append(wrong, name+" does not warn")
		}
	}
	return wrong
}
