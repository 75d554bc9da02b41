package advisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/trust"
)

// reachReport is who gets in through documents.
func reachReport(version string, now time.Time, files []trust.File, all []trust.Reached) *report.Report {
	r := &report.Report{Command: "check", Version: version, Now: now, Headline: "who gets in through " + report.Count(len(all), "document")}
	held := map[string]bool{}
	for _, one := range all {
		held[one.File] = true
		s := report.Section{Title: strings.TrimSpace(fmt.Sprintf("%s: %s %s", one.File, one.Kind, one.Name))}
		nobody := true
		if i := slices.IndexFunc(one.Cells, func(c trust.Cell) bool { return c.Reach.Verdict() == trust.Undecided }); i >= 0 {
			c := one.Cells[i]
			r.Verdicts = append(r.Verdicts, report.Verdict{
				File: one.File, Kind: string(one.Kind), Name: one.Name, Verdict: string(trust.Undecided), Counts: finding.Warning,
				Reason: "Whether " + c.Who + " gets in depends on " + c.Reach.Why + ".",
			})
		}
		for _, c := range one.Cells {
			if c.Reach.Maybe {
				cell(&s.Body, c)
				nobody = false
			}
		}
		if nobody {
			s.Body.Say(2, "nobody of Bitbucket gets in")
		}
		r.Sections = append(r.Sections, s)
	}
	for _, file := range files {
		r.Inputs = append(r.Inputs, report.Input{Name: file.Name, Data: file.Data})
		if !held[file.Name] {
			unjudged(r, file)
		}
	}
	r.JSON = func(r *report.Report) any { return reachJSON(r, all) }
	return r
}

func cell(t *report.Text, c trust.Cell) {
	line := marks()[c.Reach.Verdict()] + " " + c.Who + c.Reach.Portion()
	switch {
	case !c.Reach.Some:
		line += ": undecided, depending on " + c.Reach.Why
	case !c.Usual.Some:
		line += ": steps that ask for more audiences"
	case !c.Reach.All && c.Reach.Share > 0.75:
		line += ": some of its steps"
	}
	t.Say(2, line)
	if w := c.Reach.Witness; w != nil {
		t.Paste(6, "such as "+w.Claims.Subject)
		for _, audience := range w.Claims.Audience[1:] {
			t.Paste(6, "with the audience "+audience)
		}
		if w.Claims.BranchName != "" {
			t.Paste(6, "of the branch "+w.Claims.BranchName)
		}
	}
}

// reachJSON says for programs who gets in through documents.
func reachJSON(r *report.Report, all []trust.Reached) any {
	type cell struct {
		Who     string         `json:"who"`
		Verdict trust.Verdict  `json:"verdict"` // of the witness: allow, or undecided
		Share   float64        `json:"share"`   // of the possible UUIDs
		Why     string         `json:"why,omitempty"`
		Witness map[string]any `json:"witness"` // claims as `check --claims` takes them
	}
	type result struct {
		File  string `json:"file"`
		Kind  string `json:"kind"`
		Name  string `json:"name"`
		Cells []cell `json:"cells"`
	}
	results := []result{}
	for _, one := range all {
		cells := []cell{}
		for _, c := range one.Cells {
			if !c.Reach.Maybe {
				continue
			}
			var claims map[string]any
			if c.Reach.Witness != nil {
				claims = c.Reach.Witness.All
			}
			cells = append(cells, cell{c.Who, c.Reach.Verdict(), c.Reach.Share, c.Reach.Why, claims})
		}
		results = append(results, result{one.File, string(one.Kind), one.Name, cells})
	}
	return struct {
		Version  int               `json:"version"`
		Results  []result          `json:"results"`
		Unjudged []report.Unjudged `json:"unjudged,omitempty"`
	}{1, results, r.Unjudged}
}
