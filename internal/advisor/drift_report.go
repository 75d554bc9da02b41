package advisor

import (
	"fmt"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/report"
)

// A compared is a comparison of what is deployed with a map.
type compared struct {
	m           *access.Map
	source      []byte // that the map was read from
	state       drift.State
	differences []drift.Difference
	now         time.Time
}

// report is a section for each difference. What the map itself accepts is set apart, as by --accept.
func (c compared) report(version string) *report.Report {
	r := &report.Report{
		Command: "drift", Version: version, Now: c.now, Rules: drift.Rules(), Headline: c.headline(), Flow: c.flow(), JSON: c.json,
		Inputs: []report.Input{{Name: c.m.File, Data: c.source}},
	}
	for _, d := range c.differences {
		r.Sections = append(r.Sections, section(d))
	}
	r.Accept(c.m.File, c.source, c.m.Accept)
	return r
}

func (c compared) headline() string {
	trusting := 0
	for _, source := range c.state.Sources {
		trusting += source.Bitbucket
	}
	return fmt.Sprintf("%d of %s in %s trust Bitbucket, and %s has %s", trusting, report.Count(len(c.state.Targets), "target"),
		report.Count(len(c.state.Sources), "source"), c.m.File, report.Count(len(c.m.Targets()), "target"))
}

// section is one difference under its kind and target.
func section(d drift.Difference) report.Section {
	mark := map[finding.Severity]string{finding.Error: "✖", finding.Warning: "⚠", finding.Note: "○"}[d.Severity]
	s := report.Section{Title: fmt.Sprintf("%s %s: %s", mark, d.Kind, d.Target), Findings: []finding.Finding{d.Finding}, Together: true}
	if d.Witness != nil {
		s.Body.Paste(2, fmt.Sprint("such as ", d.Witness["sub"]))
	}
	for _, r := range d.Related {
		s.Body.Say(2, fmt.Sprintf("deployed in %s:%d:%d", r.File, r.At.Line, r.At.Column))
	}
	if d.Share != nil && *d.Share < 1 {
		s.Body.Say(2, fmt.Sprintf("share of the UUIDs that get in: 1 in %.0f", 1 / *d.Share))
	}
	if d.LastUsed != "" {
		s.Body.Say(2, "last used: "+d.LastUsed)
	}
	return s
}

// flow leads from those who get in, and those who should, to the targets.
func (c compared) flow() []report.Edge {
	var edges []report.Edge
	lead := func(who, target, verdict, says string) {
		role := report.Node{Layer: report.Role, Name: target}
		edges = append(edges, report.Edge{From: report.Node{Layer: report.Step, Name: who}, To: role, Verdict: verdict, Says: says})
		edges = append(edges, toAccount(role)...)
	}
	says := map[drift.Kind]string{
		drift.Wider: "gets in, and the map does not grant it", drift.Unlisted: "gets in, and no grant names the target",
		drift.Missing: "is refused, and the map grants it", drift.Narrower: "only some steps get in, and the map grants all of them",
		drift.Undecided: "depends on what no document says",
	}
	differs := map[[2]string]bool{}
	for _, d := range c.differences {
		for _, who := range d.Who {
			if says[d.Kind] != "" {
				differs[[2]string{who, d.Target}] = true
				lead(who, d.Target, string(d.Kind), says[d.Kind])
			}
		}
	}
	for _, t := range c.state.Targets {
		for _, cell := range t.Cells {
			if cell.Reach.Some && !differs[[2]string{cell.Who, t.Target}] {
				lead(cell.Who, t.Target, "allow", "gets in, as the map grants it")
			}
		}
	}
	return edges
}

// json is the comparison as other programs read it.
func (c compared) json(r *report.Report) any {
	type file struct {
		File   string `json:"file"`
		SHA256 string `json:"sha256"`
	}
	stand, accepted := report.Split(r, c.differences)
	return struct {
		Version     int                `json:"version"`
		Map         file               `json:"map"`
		At          string             `json:"at"`
		Read        []drift.Source     `json:"read"`
		Differences []drift.Difference `json:"differences"`
		Findings    []finding.Finding  `json:"findings"` // about what is accepted
		Accepted    []any              `json:"accepted"`
	}{1, file{c.m.File, c.m.SHA256}, c.now.UTC().Format(time.RFC3339), append([]drift.Source{}, c.state.Sources...), stand, r.AboutAccepting(), accepted}
}
