package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/iam"
)

type checkTrust struct {
	Identity  *identity  `json:"identity,omitempty" jsonschema:"the identity that the documents are judged against"`
	Documents []document `json:"documents,omitempty" jsonschema:"trust policies, roles, providers, as the clouds' tools print them"`
	Paths     []string   `json:"paths,omitempty" jsonschema:"files below --root, relative to it"`
}

// A checked list is what documents decide about one identity.
type checked struct {
	counts
	Allow     int      `json:"allow"`
	Deny      int      `json:"deny"`
	Undecided int      `json:"undecided"`
	Results   []ruling `json:"results"`
	More      int      `json:"more,omitempty" jsonschema:"results and findings left out to keep the answer short"`
}

// Counts are findings by their severity.
type counts struct {
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Notes    int `json:"notes"`
}

func (c *counts) add(s finding.Severity) {
	switch s {
	case finding.Error:
		c.Errors++
	case finding.Warning:
		c.Warnings++
	default:
		c.Notes++
	}
}

type ruling struct {
	File      string  `json:"file"`
	Kind      string  `json:"kind"`
	Name      string  `json:"name"`
	Verdict   string  `json:"verdict" jsonschema:"allow, deny or undecided"`
	Reason    string  `json:"reason"`
	Condition string  `json:"condition,omitempty" jsonschema:"the condition that does not hold, with what it wants and what the token has"`
	ChangeTo  string  `json:"change_to,omitempty" jsonschema:"the smallest change that lets the identity in, to paste"`
	Findings  []found `json:"findings"`
}

// A found rule is a finding. Its rule is described by the resource bitbucket-oidc://rules/RULE.
type found struct {
	ID       string `json:"id"`
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Path     string `json:"path"`
	Message  string `json:"message"`
	Fix      fix    `json:"fix"`
	Docs     string `json:"docs"`
}

// graver orders findings by their severity.
func (f found) graver(other found) int {
	order := []string{string(finding.Error), string(finding.Warning), string(finding.Note)}
	return slices.Index(order, f.Severity) - slices.Index(order, other.Severity)
}

type fix struct {
	Kind string `json:"kind" jsonschema:"shell, json, yaml or hcl to paste; advice to read"`
	Text string `json:"text"`
}

const (
	mostOfMessage = 1200
	mostOfFix     = 2500
)

func foundOf(f finding.Finding) found {
	return found{
		f.ID, f.Rule, string(f.Severity), short(f.File, 300), f.Line, f.Column, short(f.Path, 300), short(f.Message, mostOfMessage),
		fix{f.Fix.Kind, short(f.Fix.Text, mostOfFix)}, f.Docs,
	}
}

func (a *checked) parts() int {
	n := len(a.Results)
	for _, r := range a.Results {
		n += len(r.Findings)
	}
	return n
}

// keep keeps results with their findings, those that do not let the identity in before others.
func (a *checked) keep(n int) {
	slices.SortStableFunc(a.Results, func(x, y ruling) int {
		order := []string{string(trust.Deny), string(trust.Undecided), string(trust.Allow)}
		return slices.Index(order, x.Verdict) - slices.Index(order, y.Verdict)
	})
	a.More += a.parts() - n
	for i := range a.Results {
		if n <= 0 {
			a.Results = a.Results[:i]
			return
		}
		n--
		f := &a.Results[i].Findings
		*f = (*f)[:min(n, len(*f))]
		n -= len(*f)
	}
}

func (s server) addCheckTrust() {
	add(s, "check_trust", "Does a trust configuration let a step in",
		"Judges trust configurations (AWS roles and OIDC providers, Google providers and IAM policies, Vault roles) against one step's identity: "+
			"verdict, the condition that fails, the smallest change, and what else is wrong. Give a Google provider and its policy together.",
		s.checkTrust)
}

func (s server) checkTrust(_ context.Context, in checkTrust) (checked, error) {
	now := time.Now()
	files, id, err := s.asked(in, now)
	if err != nil {
		return checked{}, err
	}
	results, err := judge.Judge(files, id, trust.Options{Now: now, Duration: time.Hour})
	if err != nil {
		return checked{}, unknown(err)
	}
	out := checked{Results: []ruling{}}
	for _, r := range results {
		switch r.Verdict {
		case trust.Allow:
			out.Allow++
		case trust.Deny:
			out.Deny++
		default:
			out.Undecided++
		}
		one := ruling{
			File: r.File, Kind: string(r.Kind), Name: short(r.Name, 300),
			Verdict: string(r.Verdict), Reason: short(r.Reason, mostOfMessage), Findings: []found{},
		}
		one.Condition, one.ChangeTo = change(r, id)
		for _, f := range r.Findings {
			out.add(f.Severity)
			one.Findings = append(one.Findings, foundOf(f))
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

// change is the condition in the identity's way, and what to put in its place.
func change(r trust.Result, id bitbucket.Identity) (condition, to string) {
	_, c, ok := iam.Obstacle(r)
	switch {
	case ok:
		wants, has := "wants", "the token has "+strings.Join(c.Actual, " and ")
		if c.Negated {
			wants = "bars"
		}
		if len(c.Actual) == 0 {
			has = "AWS sees no such key"
		}
		condition = fmt.Sprintf("%s on %s %s %s; %s", c.Path, c.Key, wants, strings.Join(c.Expected, " or "), has)
		if r.Verdict == trust.Deny {
			to = c.Change
		}
	case r.Verdict == trust.Deny && len(r.Findings) == 0:
		to = judge.Wanted(r, id)
	}
	return short(condition, mostOfMessage), short(to, mostOfFix)
}
