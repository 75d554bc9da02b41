package mcp

import (
	"context"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
)

type whoGetsIn struct {
	Identity  *identity  `json:"identity,omitempty" jsonschema:"of the workspace to ask about; without it, the workspace that each document names"`
	Documents []document `json:"documents,omitempty" jsonschema:"trust policies, roles, providers, as the clouds' tools print them"`
	Paths     []string   `json:"paths,omitempty" jsonschema:"files below --root, relative to it"`
}

// A reached list is who gets in at all, as check --reach prints it.
type reached struct {
	Results []admitted `json:"results"`
	More    int        `json:"more,omitempty" jsonschema:"members of who, or results, left out to keep the answer short"`
}

type admitted struct {
	File      string         `json:"file"`
	Kind      string         `json:"kind"`
	Name      string         `json:"name"`
	Who       []string       `json:"who" jsonschema:"who gets in, certainly or perhaps: REPOSITORY/none for steps without a deployment environment, REPOSITORY/ENVIRONMENT, any other repository/…"`
	Undecided []string       `json:"undecided" jsonschema:"the members of who that get in or not, depending on something that no document says"`
	Share     float64        `json:"share" jsonschema:"the smallest part of the possible UUIDs of one of who that gets in: 1 is all of them"`
	Witness   map[string]any `json:"witness" jsonschema:"claims of somebody who gets in: check_trust takes them; empty where nobody does"`
}

func (a *reached) parts() int {
	n := 0
	for _, r := range a.Results {
		n += 1 + len(r.Who)
	}
	return n
}

// keep keeps the first results, each with its first members.
func (a *reached) keep(n int) {
	a.More += a.parts() - n
	for i := range a.Results {
		if n <= 0 {
			a.Results = a.Results[:i]
			return
		}
		r := &a.Results[i]
		n--
		r.Who = r.Who[:min(n, len(r.Who))]
		r.Undecided = r.Undecided[:min(len(r.Who), len(r.Undecided))]
		n -= len(r.Who)
	}
}

func (s server) addWhoGetsIn() {
	add(s, "who_gets_in", "Who gets in through a trust configuration",
		"Everybody of a Bitbucket workspace who gets in through trust configurations, as a set, with the claims of one as a witness. "+
			"Ask it before and after a change: what is new in who is what the change opens.",
		s.whoGetsIn)
}

func (s server) whoGetsIn(ctx context.Context, in whoGetsIn) (reached, error) {
	u := bitbucket.Universe{}
	now := time.Now()
	if in.Identity.given() {
		id, err := in.Identity.read(now)
		if err != nil {
			return reached{}, err
		}
		u = bitbucket.Around(id)
	}
	u.Now = now
	files, err := s.documents(in.Documents, in.Paths)
	if err != nil {
		return reached{}, err
	}
	all, err := judge.Reach(ctx, files, u)
	if err != nil {
		return reached{}, unknown(err)
	}
	out := reached{Results: []admitted{}}
	for _, r := range all {
		out.Results = append(out.Results, admittedOf(r))
	}
	return out, nil
}

func admittedOf(r trust.Reached) admitted {
	one := admitted{File: r.File, Kind: string(r.Kind), Name: short(r.Name, 300), Who: []string{}, Undecided: []string{}, Witness: map[string]any{}}
	certain := false
	for _, c := range r.Cells {
		if !c.Reach.Maybe {
			continue
		}
		one.Who = append(one.Who, c.Who)
		if len(one.Who) == 1 || c.Reach.Share < one.Share {
			one.Share = c.Reach.Share
		}
		if !c.Reach.Some {
			one.Undecided = append(one.Undecided, c.Who)
		}
		if w := c.Reach.Witness; w != nil && !certain && (c.Reach.Some || len(one.Witness) == 0) {
			one.Witness, certain = w.All, c.Reach.Some
		}
	}
	return one
}
