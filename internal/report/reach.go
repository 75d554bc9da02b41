package report

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// ReachText says for people who gets in through documents.
func ReachText(files []string, all []trust.Reached) string {
	var p page
	held := map[string]bool{}
	for _, r := range all {
		held[r.File] = true
		p.Say(0, strings.TrimSpace(fmt.Sprintf("%s: %s %s", r.File, r.Kind, r.Name)))
		nobody := true
		for _, c := range r.Cells {
			if c.Reach.Maybe {
				p.cell(c)
				nobody = false
			}
		}
		if nobody {
			p.Say(2, "nobody of Bitbucket gets in")
		}
		p.Gap()
	}
	for _, file := range files {
		if !held[file] {
			p.Say(0, file+": nothing in it names an api.bitbucket.org provider, so that nothing was judged")
			p.Gap()
		}
	}
	return strings.TrimSuffix(p.String(), "\n")
}

func (p *page) cell(c trust.Cell) {
	line := marks()[c.Reach.Verdict()] + " " + c.Who + c.Reach.Portion()
	switch {
	case !c.Reach.Some:
		line += ": undecided, which depends on " + c.Reach.Why
	case !c.Usual.Some:
		line += ": steps that ask for more audiences"
	case !c.Reach.All && c.Reach.Share > 0.75:
		line += ": some of its steps"
	}
	p.Say(2, line)
	if w := c.Reach.Witness; w != nil {
		p.Paste(6, "such as "+w.Claims.Subject)
		for _, audience := range w.Claims.Audience[1:] {
			p.Paste(6, "with the audience "+audience)
		}
		if w.Claims.BranchName != "" {
			p.Paste(6, "of the branch "+w.Claims.BranchName)
		}
	}
}

// ReachJSON says for programs who gets in through documents.
func ReachJSON(all []trust.Reached) string {
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
	for _, r := range all {
		cells := []cell{}
		for _, c := range r.Cells {
			if !c.Reach.Maybe {
				continue
			}
			var claims map[string]any
			if c.Reach.Witness != nil {
				claims = c.Reach.Witness.All
			}
			cells = append(cells, cell{c.Who, c.Reach.Verdict(), c.Reach.Share, c.Reach.Why, claims})
		}
		results = append(results, result{r.File, string(r.Kind), r.Name, cells})
	}
	return document.Indented(struct {
		Version int      `json:"version"`
		Results []result `json:"results"`
	}{1, results})
}
