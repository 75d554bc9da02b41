package mcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/report"
)

type findDrift struct {
	Map       string     `json:"map,omitempty" jsonschema:"the access map's text, or its path below --root"`
	Documents []document `json:"documents,omitempty" jsonschema:"what is deployed: roles, providers, policies as the clouds' tools print them"`
	Paths     []string   `json:"paths,omitempty" jsonschema:"files of what is deployed, below --root"`
}

// A drifted map is how the deployed policies differ from the map.
type drifted struct {
	counts
	Undecided   int          `json:"undecided"`
	Accepted    int          `json:"accepted" jsonschema:"differences that the map accepts"`
	Read        []read       `json:"read" jsonschema:"what was looked at: anything else is not known to be right"`
	Differences []difference `json:"differences"`
	Remarks     []string     `json:"remarks" jsonschema:"what is wrong with the list of those"`
	More        int          `json:"more,omitempty" jsonschema:"differences and sources left out to keep the answer short"`
}

type read struct {
	Source    string `json:"source"`
	How       string `json:"how"`
	Targets   int    `json:"targets"`
	Bitbucket int    `json:"bitbucket" jsonschema:"how many of the targets trust the map's workspace"`
}

type difference struct {
	found
	Kind    string         `json:"kind" jsonschema:"wider, unlisted, missing, narrower, absent, unread, undecided, expired, provider, session or unenforceable"`
	Target  string         `json:"target"`
	Who     []string       `json:"who"`
	Witness map[string]any `json:"witness" jsonschema:"claims that check_trust confirms; empty where nobody shows the difference"`
}

// mostSources bounds the sources in an answer.
const mostSources = 20

func (a *drifted) parts() int { return len(a.Differences) + len(a.Remarks) }

// keep keeps the gravest differences.
func (a *drifted) keep(n int) {
	slices.SortStableFunc(a.Differences, func(x, y difference) int { return x.graver(y.found) })
	a.More += a.parts() - n
	a.Differences = a.Differences[:min(n, len(a.Differences))]
	a.Remarks = a.Remarks[:n-len(a.Differences)]
}

func (s server) addFindDrift() {
	add(s, "find_drift", "Who gets in and should not, or should and does not",
		"Compares who gets in, as deployed, with who should, as the access map says. Each difference has a witness. Change the map by pull request and render policies from it; never widen a policy by hand.",
		s.findDrift)
}

func (s server) findDrift(ctx context.Context, in findDrift) (drifted, error) {
	now := time.Now()
	m, err := s.accessMap(in.Map)
	files, err2 := s.documents(in.Documents, in.Paths)
	if err := errors.Join(err, err2); err != nil {
		return drifted{}, err
	}
	state, err := inventory.Read(ctx, inventory.Given{Files: files, Map: m}, drift.Universe(m, now))
	if err != nil {
		return drifted{}, unknown(err)
	}
	out := drifted{Read: []read{}, Differences: []difference{}, Remarks: []string{}}
	kept := state.Sources[:min(mostSources, len(state.Sources))]
	out.More = len(state.Sources) - len(kept)
	for _, r := range kept {
		out.Read = append(out.Read, read{r.Name, short(r.How, 300), r.Targets, r.Bitbucket})
	}
	all := drift.Compare(m, state, now)
	r := report.Report{Now: now}
	for _, d := range all {
		r.Sections = append(r.Sections, report.Section{Findings: []finding.Finding{d.Finding}})
	}
	r.Accept(m.File, nil, m.Accept)
	stand, accepted := report.Split(&r, all)
	out.Accepted = len(accepted)
	for _, f := range r.AboutAccepting() {
		out.counts.add(f.Severity)
		out.Remarks = append(out.Remarks, fmt.Sprintf("%s:%d: %s: %s", short(f.File, 300), f.Line, f.Rule, f.Message))
	}
	for _, d := range stand {
		out.counts.add(d.Severity)
		if d.Kind == drift.Undecided {
			out.Undecided++
		}
		one := difference{foundOf(d.Finding), string(d.Kind), short(d.Target, 300), few(d.Who), d.Witness}
		if one.Witness == nil {
			one.Witness = map[string]any{}
		}
		out.Differences = append(out.Differences, one)
	}
	return out, nil
}

// accessMap reads the map that a call gives.
func (s server) accessMap(text string) (*access.Map, error) {
	if strings.TrimSpace(text) == "" {
		return nil, hint.New("no map", "give the access map's text as map, or its path below --root")
	}
	name, data, err := s.either(access.DefaultFile, text)
	if err != nil {
		return nil, err
	}
	return access.Parse(name, data)
}
