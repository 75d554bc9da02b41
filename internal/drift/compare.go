package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

type comparison struct {
	m        *access.Map
	universe bitbucket.Universe
	state    State
	deployed map[string]int // where a target is among those of the state
	now      time.Time
	all      []Difference
}

// add fills in what every difference has.
func (c *comparison) add(d Difference) {
	severity := d.Severity
	for _, r := range Rules() {
		if r.Name == "drift-"+string(d.Kind) {
			d.Severity = cmp.Or(severity, r.Severity)
		}
	}
	d.Rule = "drift-" + string(d.Kind)
	d.Docs = finding.Docs(d.Rule)
	d.File = c.m.File
	if d.Line == 0 {
		d.Line, d.Column = 1, 1
	}
	if i, found := c.deployed[d.Target]; found {
		d.deployed(c.state.Targets[i])
	}
	if d.Who == nil {
		d.Who = []string{}
	}
	if d.Fix.Kind == "" {
		d.Fix.Kind = finding.Advice
	}
	d.ID = finding.Identify(append([]string{string(d.Kind), d.Target}, d.Who...)...)
	c.all = append(c.all, d)
}

// at is where the map first names a target.
func (c *comparison) at(target string) Difference {
	d := Difference{Target: target}
	if grants := c.m.Naming(target); len(grants) > 0 {
		d.Line, d.Column, d.Grant = grants[0].Line, grants[0].Column, fmt.Sprintf("grants[%d]", grants[0].Index)
	}
	return d
}

// target compares one target of the map with what is deployed under its name.
func (c *comparison) target(t access.Target) {
	granted := c.m.Granted(t.Name, c.now)
	i, found := c.deployed[t.Name]
	switch {
	case !found && (c.wasRead(t) || slices.Contains(c.state.Gone, t.Name)):
		c.absent(t, granted, c.gone(t))
	case !found:
		c.targetUnread(t)
	case len(c.state.Targets[i].Cells) == 0:
		c.absent(t, granted, "trusts nobody of the workspace "+c.m.Workspace.Slug)
	default:
		c.cells(t, c.state.Targets[i], granted)
		c.elsewhere(t, c.state.Targets[i], granted)
		c.session(t, c.state.Targets[i])
	}
}

// cells compares who gets in with who should.
func (c *comparison) cells(t access.Target, is Deployed, granted []access.Who) {
	found := map[Kind][]trust.Cell{}
	for _, cell := range c.whole(is.Cells, granted) {
		kind, _ := compareCell(cell, granted)
		found[kind] = append(found[kind], cell)
	}
	for _, k := range []struct {
		kind Kind
		tell func(d *Difference, is Deployed, cells []trust.Cell, granted []access.Who)
	}{{Wider, wider}, {Missing, missing}, {Narrower, narrower}, {Undecided, undecided}} {
		if cells := found[k.kind]; len(cells) > 0 {
			d := c.at(t.Name)
			d.Kind, d.Fix, d.Who = k.kind, c.rendered(t), who(cells)
			k.tell(&d, is, cells, granted)
			c.add(d)
		}
	}
}

// whole adds the cells of granted repositories that the document does not name: nobody of them gets in.
func (c *comparison) whole(cells []trust.Cell, granted []access.Who) []trust.Cell {
	all := slices.Clone(cells)
	for _, w := range granted {
		uuid := w.Repository.UUID
		if slices.ContainsFunc(all, func(x trust.Cell) bool { return x.Repository == uuid }) {
			continue
		}
		add := func(environment string, deployment bool) {
			cell := trust.NewCell(c.universe, uuid, environment, deployment)
			made := bitbucket.MadeUpUUIDs()
			if deployment && environment == "" {
				environment = made[1]
			}
			id := c.universe.Member(bitbucket.Member{Repository: uuid, Environment: environment, Step: made[2], Audience: []string{c.universe.Audience}})
			cell.Reach.Refused, cell.Usual.Refused = &id, &id
			all = append(all, cell)
		}
		add("", false)
		for _, e := range w.Repository.Environments {
			add(e.UUID, true)
		}
		add("", true)
	}
	return all
}

// compareCell returns what is wrong with one cell, empty if nothing is, and what it depends on where that is not known.
func compareCell(cell trust.Cell, granted []access.Who) (kind Kind, why string) {
	if !slices.ContainsFunc(granted, func(w access.Who) bool { return contains(w, cell) }) {
		switch {
		case cell.Reach.Some:
			return Wider, ""
		case cell.Reach.Maybe:
			return Undecided, cell.Reach.Why
		}
		return "", ""
	}
	switch e := cell.Usual; {
	case e.All:
		return "", ""
	case !e.Maybe && !e.Pinned:
		return Missing, ""
	case e.MaybeAll || !e.Some && !e.Pinned:
		return Undecided, e.Why
	}
	return Narrower, ""
}

// contains reports whether a who of the map has every step of a cell.
func contains(w access.Who, cell trust.Cell) bool {
	if cell.Repository == "" || w.Repository.UUID != cell.Repository {
		return false
	}
	switch w.Environment {
	case access.AnyEnvironment:
		return true
	case access.NoEnvironment:
		return !cell.Deployment
	}
	return cell.Environment == w.UUID
}

// grants goes through what each grant says of each of its targets.
func (c *comparison) grants() {
	for _, g := range c.m.Grants {
		for _, t := range g.Become {
			d := Difference{Target: t.Name, Grant: fmt.Sprintf("grants[%d]", g.Index)}
			d.Line, d.Column = g.Line, g.Column
			for _, w := range g.Who {
				d.Who = append(d.Who, w.String())
			}
			if g.Expired(c.now) {
				c.expired(d, g)
			} else {
				c.unenforceable(d, t, g)
			}
		}
	}
}

// rendered is the whole policy that the map has for a target, and not a patch: a patch would depend on the deployed policy.
func (c *comparison) rendered(t access.Target) finding.Fix {
	r, err := c.m.Render([]string{t.Name}, "", c.now)
	if err != nil || len(r.Policies) == 0 {
		return finding.Fix{Kind: finding.Advice, Text: "render the target from the map: bitbucket-oidc map render " + t.Name}
	}
	return finding.Fix{Kind: finding.JSON, Text: document.Indented(r.Policies[0].Body)}
}

// sort puts differences into the order of severity, then of kind and target.
func (c *comparison) sort() {
	rank := map[finding.Severity]int{finding.Error: 0, finding.Warning: 1, finding.Note: 2}
	slices.SortStableFunc(c.all, func(a, b Difference) int {
		return cmp.Or(
			cmp.Compare(rank[a.Severity], rank[b.Severity]), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Target, b.Target), slices.Compare(a.Who, b.Who),
		)
	})
}

func who(cells []trust.Cell) []string {
	all := []string{}
	for _, x := range cells {
		all = append(all, x.Who)
	}
	return all
}

// unknown is the end of a sentence about something that is not known.
func unknown(why string) string {
	return "depends on " + cmp.Or(why, "something that no document says")
}

// listed is names in a sentence.
func listed(names []string) string {
	const most = 6
	if len(names) > most {
		return strings.Join(names[:most-1], ", ") + fmt.Sprintf(" and %d more", len(names)-most+1)
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func verb(names []string, one, many string) string {
	if len(names) == 1 {
		return one
	}
	return many
}

func onlyGranted(granted []access.Who) string {
	if len(granted) == 0 {
		return "it to nobody"
	}
	var names []string
	for _, w := range granted {
		names = append(names, w.String())
	}
	return listed(names) + " only"
}

// share is the smallest share of the cells: 1 where all of them get in whole.
func share(cells []trust.Cell) *float64 {
	least := 1.0
	for _, x := range cells {
		least = min(least, x.Reach.Share)
	}
	return &least
}

func admitted(x trust.Cell) *bitbucket.Identity { return x.Reach.Witness }

func refused(x trust.Cell) *bitbucket.Identity { return x.Usual.Refused }

// deployed adds the place of the document that decides, or of the part of it that decides.
func (d *Difference) deployed(is Deployed) {
	if is.Locate == nil {
		return
	}
	if file, at := is.Locate(d.Path); at.Line > 0 {
		d.Related = []finding.Related{{File: file, At: at, Message: "This is deployed."}}
	}
}

// show gives the difference its witness, the first identity that the cells have, with the path of what decides about it.
func (d *Difference) show(is Deployed, cells []trust.Cell, of func(trust.Cell) *bitbucket.Identity) {
	for _, x := range cells {
		id := of(x)
		if id == nil {
			continue
		}
		d.Witness = id.All
		if is.Deciding != nil {
			d.Path = is.Deciding(*id)
		}
		return
	}
}
