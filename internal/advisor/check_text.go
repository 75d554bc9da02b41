package advisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/iam"
	"bitbucket-oidc/internal/visible"
)

// marks begin the line of a verdict.
func marks() map[trust.Verdict]string {
	return map[trust.Verdict]string{trust.Allow: "✔", trust.Deny: "✖", trust.Undecided: "?"}
}

// A checked is a judgement of files.
type checked struct {
	identity bitbucket.Identity
	files    []trust.File
	results  []trust.Result
	now      time.Time
}

// report lists, for each result, the verdict, what decides it, and the findings.
func (c checked) report(version string) *report.Report {
	r := &report.Report{Command: "check", Version: version, Now: c.now, Rules: judge.Rules(), Flow: checkFlow(c.identity, c.results), JSON: c.json}
	allowed := 0
	for _, res := range c.results {
		v := report.Verdict{File: res.File, Kind: string(res.Kind), Name: res.Name, Verdict: string(res.Verdict), Reason: res.Reason}
		if res.Verdict == trust.Allow {
			allowed++
		} else {
			v.Counts = finding.Error
		}
		r.Verdicts = append(r.Verdicts, v)
		r.Sections = append(r.Sections, report.Section{
			Title: strings.TrimSpace(fmt.Sprintf("%s %s: %s: %s %s", marks()[res.Verdict], res.Verdict, res.File, res.Kind, res.Name)),
			Body:  decided(res, c.identity), Findings: res.Findings,
		})
	}
	for _, file := range c.files {
		r.Inputs = append(r.Inputs, report.Input{Name: file.Name, Data: file.Data})
		if !slices.ContainsFunc(c.results, func(r trust.Result) bool { return r.File == file.Name }) {
			unjudged(r, file)
		}
	}
	r.Headline = fmt.Sprintf("the identity gets in through %d of %s", allowed, report.Count(len(c.results), "document"))
	r.Sections = append(r.Sections, report.Section{Title: "judged for the identity", Body: judgedFor(c.identity, c.now)})
	return r
}

// unjudged adds a file with nothing to judge.
func unjudged(r *report.Report, file trust.File) {
	why := "nothing in it names an api.bitbucket.org provider, so nothing was judged"
	if judge.Beside(file) {
		why = "it counts for the documents beside it, and nothing was judged in it"
	}
	r.Unjudged = append(r.Unjudged, report.Unjudged{File: file.Name, Reason: strings.ToUpper(why[:1]) + why[1:] + "."})
	r.Sections = append(r.Sections, report.Section{Title: file.Name + ": " + why})
}

// json is the judgement as other programs read it.
func (c checked) json(r *report.Report) any {
	type result struct {
		trust.Result
		Findings []finding.Finding `json:"findings"`
	}
	type identity struct {
		Issuer   string         `json:"issuer"`
		Audience []string       `json:"audience"`
		Subject  string         `json:"subject"`
		Claims   map[string]any `json:"claims"`
	}
	results, accepted := []result{}, []any{}
	for _, res := range c.results {
		stand, waived := report.Split(r, res.Findings)
		results, accepted = append(results, result{res, stand}), append(accepted, waived...)
	}
	claims := c.identity.Claims
	return struct {
		Version  int               `json:"version"`
		Identity identity          `json:"identity"`
		Results  []result          `json:"results"`
		Findings []finding.Finding `json:"findings"` // of no document
		Accepted []any             `json:"accepted"`
		Unjudged []report.Unjudged `json:"unjudged,omitempty"`
	}{1, identity{claims.Issuer, claims.Audience, claims.Subject, c.identity.All}, results, r.AboutAccepting(), accepted, r.Unjudged}
}

// decided is what decides a verdict.
func decided(res trust.Result, id bitbucket.Identity) (t report.Text) {
	step, condition, found := iam.Obstacle(res)
	told := slices.ContainsFunc(res.Findings, func(f finding.Finding) bool { return f.Message == res.Reason })
	if shown := found && res.Verdict == trust.Deny && step.Effect != "Deny" && fits(condition); !shown && !told {
		t.Say(2, res.Reason)
	}
	switch {
	case found:
		obstacle(&t, res.Verdict, step, condition)
	case res.Verdict == trust.Deny && len(res.Findings) == 0:
		if wanted := judge.Wanted(res, id); wanted != "" {
			t.Paste(2, "change to: "+strings.ReplaceAll(wanted, "\n", "\n  "))
		}
	}
	return t
}

// judgedFor says which identity was judged.
func judgedFor(id bitbucket.Identity, now time.Time) (t report.Text) {
	t.Paste(2, "issuer    "+id.Claims.Issuer)
	for _, a := range id.Claims.Audience {
		t.Paste(2, "audience  "+a)
	}
	t.Paste(2, "subject   "+id.Claims.Subject)
	if e := id.Expired(now); e != "" {
		t.Paste(2, e)
	}
	return t
}

// obstacle shows a condition with what it wants and what the token has, one above the other, and marks where they differ.
func obstacle(t *report.Text, v trust.Verdict, s trust.Step, c trust.Condition) {
	state := "does not hold"
	switch {
	case v == trust.Undecided:
		state = "depends on a value that is not known here"
	case s.Effect == "Deny":
		state = "refuses"
	}
	t.Say(2, fmt.Sprintf("%s %s:", c.Path, state))
	t.Say(4, c.Key)
	wants := "wants  "
	if c.Negated {
		wants = "bars   "
	}
	if len(c.Actual) == 0 {
		t.Paste(4, wants+visible.Text(few(c.Expected)))
		if v != trust.Undecided {
			t.Paste(4, "has    nothing: AWS sees no such key")
		}
	} else {
		want, has, mark := report.Beside(c.Expected, c.Actual, c.Wild)
		t.Paste(4, wants+want)
		t.Paste(4, "has    "+has)
		if mark != "" && v == trust.Deny && s.Effect != "Deny" {
			t.Paste(4, "       "+mark)
		}
		if others := len(c.Expected) - 1; others > 0 {
			t.Say(4, fmt.Sprintf("the closest of %d values", others+1))
		}
	}
	if v == trust.Deny {
		t.Paste(4, "change to: "+visible.Text(c.Change))
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

// fits reports whether a condition's values can be shown whole.
func fits(c trust.Condition) bool {
	return !slices.ContainsFunc(slices.Concat(c.Expected, c.Actual), func(value string) bool { return len(value) > report.BesideWidth })
}
