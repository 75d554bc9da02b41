package advisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/trust"
)

// auditReport lists, for each file, the classes of identity and the findings.
func auditReport(files []audited, version string, now time.Time) *report.Report {
	r := &report.Report{Command: "audit", Version: version, Now: now, Rules: slices.Concat(audit.Rules(), judges.Rules()), Flow: auditFlow(files)}
	steps, tokens := 0, 0
	for _, f := range files {
		r.Inputs = append(r.Inputs, report.Input{Name: f.File, Data: f.data})
		section := report.Section{Body: classes(f.Classes, f.Steps)}
		signedIn := 0
		for _, s := range f.Steps {
			r.Verdicts = append(r.Verdicts, auditVerdicts(f.File, s)...)
			if s.Token {
				signedIn++
			}
		}
		steps, tokens = steps+len(f.Steps), tokens+signedIn
		if len(files) > 1 {
			section.Title = fmt.Sprintf("%s: %s, %d with a token", f.File, report.Count(len(f.Steps), "step"), signedIn)
		}
		for _, one := range f.Findings {
			one.Shared = one.Steps
			section.Findings = append(section.Findings, one.Finding)
		}
		for _, one := range f.Accepted {
			r.Accepted = append(r.Accepted, report.Accepted{Finding: one.Finding.Finding, Why: one.Why, Until: one.Until, Comment: true})
		}
		r.Sections = append(r.Sections, section)
	}
	r.Headline = fmt.Sprintf("%s, %d with a token", report.Count(steps, "step"), tokens)
	if len(files) > 1 {
		r.Headline = report.Count(len(files), "file") + ", " + r.Headline
	} else {
		r.Headline += " in " + files[0].File
	}
	r.JSON = func(r *report.Report) any { return auditJSON(r, files) }
	return r
}

// auditVerdicts are what documents decide about a step. What they refuse is a finding as well; what is undecided counts as a warning.
func auditVerdicts(file string, s audit.Step) []report.Verdict {
	var all []report.Verdict
	for _, v := range s.Verdicts {
		one := report.Verdict{File: file, Kind: v.Document, Name: report.StepVerdict(s.Path, v.Name), Verdict: v.Verdict, Reason: v.Reason}
		if v.Verdict == string(trust.Undecided) {
			one.Counts = finding.Warning
		}
		all = append(all, one)
	}
	return all
}

// auditJSON is one object for a file, and for several one that lists them, with all findings beside.
func auditJSON(r *report.Report, files []audited) any {
	type result struct {
		audit.Result
		Findings []audit.Finding `json:"findings"`
		Accepted []any           `json:"accepted"`
	}
	settled := make([]result, 0, len(files))
	findings, accepted := []audit.Finding{}, []any{}
	for _, f := range files {
		whole := slices.Clone(f.Findings)
		for _, one := range f.Accepted {
			whole = append(whole, one.Finding)
		}
		one := result{Result: f.Result}
		one.Findings, one.Accepted = report.Split(r, whole)
		settled = append(settled, one)
		findings, accepted = append(findings, one.Findings...), append(accepted, one.Accepted...)
	}
	for _, f := range r.AboutAccepting() {
		findings = append(findings, audit.Finding{Finding: f, Steps: []string{}})
	}
	if len(files) == 1 {
		settled[0].Findings = findings
		return struct {
			Version int `json:"version"`
			result
		}{1, settled[0]}
	}
	return struct {
		Version  int             `json:"version"`
		Files    []result        `json:"files"`
		Findings []audit.Finding `json:"findings"`
		Accepted []any           `json:"accepted"`
	}{1, settled, findings, accepted}
}

// mostSteps is how many steps of a class are listed.
const mostSteps = 8

// classes lists the identities that clouds can tell apart.
func classes(classes []audit.Class, steps []audit.Step) (t report.Text) {
	if len(classes) == 0 {
		return t
	}
	t.Say(0, "Identities that the clouds can tell apart by the token's subject:")
	names := map[string]string{}
	for _, s := range steps {
		names[s.Path] = fmt.Sprintf("line %d  %s", s.Line, strings.TrimSpace(s.Path+" "+quoted(s.Name)))
	}
	for _, c := range classes {
		title := c.Subject
		if c.Undecided {
			title += "  undecided: it is not confirmed whether `environment:` without `deployment:` comes into the token"
		}
		t.Say(2, title)
		for i, path := range c.Steps {
			if i == mostSteps {
				t.Say(4, fmt.Sprintf("and %d more", len(c.Steps)-mostSteps))
				break
			}
			t.Say(4, names[path])
		}
		for _, a := range c.Asks {
			who := "an identity that the file does not say"
			if a.Who != nil {
				who = *a.Who
			}
			t.Say(4, "asks  "+a.Cloud+"  "+who)
		}
	}
	return t
}

func quoted(name string) string {
	if name == "" {
		return ""
	}
	return `"` + name + `"`
}
