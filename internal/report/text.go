package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/iam"
)

// A page is the report of a judgement for people.
type page struct{ Page }

// marks begin the line of a verdict.
func marks() map[trust.Verdict]string {
	return map[trust.Verdict]string{trust.Allow: "✔", trust.Deny: "✖", trust.Undecided: "?"}
}

// text is for each result the verdict, what decides it, and the findings.
func text(c Check) string {
	var p page
	for _, result := range c.Results {
		p.result(result, c.Identity)
		p.Gap()
	}
	for _, file := range c.Files {
		if !slices.ContainsFunc(c.Results, func(r trust.Result) bool { return r.File == file }) {
			p.Say(0, file+": nothing in it names an api.bitbucket.org provider, so that nothing was judged")
			p.Gap()
		}
	}
	p.identity(c.Identity, c.Now)
	return p.String()
}

func (p *page) result(res trust.Result, id bitbucket.Identity) {
	p.Say(0, strings.TrimSpace(fmt.Sprintf("%s %s: %s: %s %s", marks()[res.Verdict], res.Verdict, res.File, res.Kind, res.Name)))
	step, condition, found := iam.Obstacle(res)
	if !found || res.Verdict != trust.Deny || step.Effect == "Deny" || !fits(condition) {
		p.Say(2, res.Reason) // else the condition says as much
	}
	switch {
	case found:
		p.obstacle(res.Verdict, step, condition, id)
	case res.Verdict == trust.Deny && len(res.Findings) == 0:
		p.Paste(2, "change to: "+strings.ReplaceAll(judge.Wanted(res.Kind, id), "\n", "\n  "))
	}
	for _, f := range res.Findings {
		p.Gap()
		where := f.Path
		if where != "" {
			where = " at " + where
		}
		p.Say(2, fmt.Sprintf("%s %s%s", f.Severity, f.Rule, where))
		if f.Message != res.Reason {
			p.Say(4, f.Message)
		}
		if f.Fix.Text != "" {
			p.Paste(4, "fix: "+strings.ReplaceAll(f.Fix.Text, "\n", "\n     "))
		}
	}
}

// identity says for whom all this was judged.
func (p *page) identity(id bitbucket.Identity, now time.Time) {
	p.Say(0, "judged for the identity")
	p.Paste(2, "issuer    "+id.Claims.Issuer)
	for _, a := range id.Claims.Audience {
		p.Paste(2, "audience  "+a)
	}
	p.Paste(2, "subject   "+id.Claims.Subject)
	if e := id.Expired(now); e != "" {
		p.Paste(2, e)
	}
}

// obstacle shows a condition with what it wants and what the token has, one above the other, and marks where they differ.
func (p *page) obstacle(v trust.Verdict, s trust.Step, c trust.Condition, id bitbucket.Identity) {
	state := "does not hold"
	switch {
	case v == trust.Undecided:
		state = "depends on a value that is not known here"
	case s.Effect == "Deny":
		state = "refuses"
	}
	p.Say(2, fmt.Sprintf("%s %s:", c.Path, state))
	p.Say(4, c.Key)
	operator := strings.ToLower(c.Operator)
	wild := strings.Contains(operator, "like") || strings.Contains(operator, "arn") // to the others a * is a character
	wants := "wants  "
	if strings.Contains(operator, "not") {
		wants = "bars   "
	}
	want, has := closest(c.Expected, c.Actual, wild)
	want, has = cli.Visible(want), cli.Visible(has)
	if len(c.Actual) == 0 {
		p.Paste(4, wants+cli.Visible(few(c.Expected)))
		if v != trust.Undecided {
			p.Paste(4, "has    nothing: AWS sees no such key")
		}
	} else {
		from, to := difference(want, has, wild)
		want, has, from, to = window(want, has, from, to)
		p.Paste(4, wants+want)
		p.Paste(4, "has    "+has)
		if to > from && v == trust.Deny && s.Effect != "Deny" {
			p.Paste(4, "       "+strings.Repeat(" ", from)+strings.Repeat("^", to-from))
		}
		if others := len(c.Expected) - 1; others > 0 {
			p.Say(4, fmt.Sprintf("the closest of %d values", others+1))
		}
	}
	if v == trust.Deny {
		p.Paste(4, "change to: "+cli.Visible(iam.Change(s.Effect, c, id)))
	}
}

// few names values, and not all of very many.
func few(values []string) string {
	const most = 3
	if len(values) <= most {
		return strings.Join(values, " or ")
	}
	return fmt.Sprintf("%s or one of %d more", strings.Join(values[:most], " or "), len(values)-most)
}

// closest is the pair of values that begin with the most in common.
func closest(expected, actual []string, wild bool) (want, has string) {
	best := -1
	for _, w := range expected {
		for _, h := range actual {
			if from, _ := difference(w, h, wild); from > best {
				best, want, has = from, w, h
			}
		}
	}
	return want, has
}

// difference is the part of has, in characters, at which it departs from want. If want can have wildcards, that part ends
// where the first of them stands: what a wildcard takes is not wrong, and behind it anything may be right.
func difference(want, has string, wild bool) (from, to int) {
	w, h := []rune(want), []rune(has)
	if at := slices.IndexFunc(w, func(r rune) bool { return r == '*' || r == '?' }); wild && at >= 0 {
		w, h = w[:at], h[:min(at, len(h))]
	}
	for from < len(w) && from < len(h) && w[from] == h[from] {
		from++
	}
	to = len(h)
	for end := len(w); to > from && end > from && w[end-1] == h[to-1]; end-- {
		to--
	}
	return from, max(to, min(from+1, len(h)))
}

// room is what is left of a line for a condition's value.
const room = Width - 11

// fits reports whether a condition's values can be shown whole.
func fits(c trust.Condition) bool {
	return !slices.ContainsFunc(slices.Concat(c.Expected, c.Actual), func(value string) bool { return len(value) > room })
}

// window cuts what is equal, then what is behind, so that both values fit into a line.
func window(want, has string, from, to int) (string, string, int, int) {
	w, h := []rune(want), []rune(has)
	if len(w) <= room && len(h) <= room {
		return want, has, from, to
	}
	if start := strings.LastIndexByte(string(h[:from]), ':'); start > 0 {
		same := len([]rune(string(h[:from])[:start]))
		w, h = append([]rune("…"), w[same:]...), append([]rune("…"), h[same:]...)
		from, to = from-same+1, to-same+1
	}
	return cut(w), cut(h), min(from, room-1), min(to, room)
}

func cut(text []rune) string {
	if len(text) <= room {
		return string(text)
	}
	return string(text[:room-1]) + "…"
}
