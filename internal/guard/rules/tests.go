package rules

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/strictyaml"
)

// A Test says what the file's rules make of one input.
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
	data, err := json.Marshal(given.Any())
	if err == nil {
		t.Given, err = guard.ParseInput(data)
	}
	if err != nil {
		given.Problem("%s", misfit(err))
	}
	if given.Present() && t.Given.Now.IsZero() && slices.ContainsFunc(c.file.Rules, Rule.Timed) {
		given.Problem("now is missing: a rule reads the clock, and the test would depend on the day")
	}
	t.Refuse, t.Warn = c.ruleNames(field("refuse")), c.ruleNames(field("warn"))
	c.file.Tests = append(c.file.Tests, t)
}

// misfit turns an error of package json into words about the file.
func misfit(err error) string {
	text := strings.TrimPrefix(err.Error(), "json: ")
	if name, ok := strings.CutPrefix(text, "unknown field "); ok {
		return "there is no input " + name
	}
	if wrong, ok := err.(*json.UnmarshalTypeError); ok {
		return fmt.Sprintf("%s: expected a %s: put texts, such as account numbers, in quotes", wrong.Field, wrong.Type)
	}
	return text
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
