package trust

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
)

// These bound the work on one document. A cell that would need more is undecided. A judgement takes longer the more the document
// compares.
const (
	mostJudgements  = 20_000
	mostComparisons = 2_000_000
	fewNamed        = 12 // at most so many UUIDs are tried as environments of each other
)

// Classes decide who gets in through a document that does not distinguish between UUIDs that it does not name: one representative of each
// class of steps is judged instead of all its steps.
type Classes struct {
	Universe  bitbucket.Universe
	Texts     []string // everything that the document compares claims with: UUIDs, branches
	Audiences []string // the audiences that the document names
	Chosen    bool     // whether the result depends on the branch, or on the audiences in more than one place, which the author of a pipeline chooses

	// Inside is the text of the document that looks at parts of UUIDs, or empty. A representative that gets in is still certain, and a
	// representative that does not is undecided.
	Inside string

	// Globs reports that the document compares the branch with names and with patterns as of [Glob] only, and that Texts has all of them.
	Globs bool

	// Judge judges an identity, and says why if the verdict is not certain. If chosen is set, branch and audiences are unknown wherever
	// the document compares them itself.
	Judge func(id bitbucket.Identity, chosen bool) (Verdict, string)
}

// Cells decides every cell.
func (c Classes) Cells(ctx context.Context) []Cell {
	d := &decider{Classes: c, ctx: ctx, left: min(mostJudgements, mostComparisons/(50+len(c.Texts)))}
	d.Universe = c.Universe.Normal()
	d.lists, d.usual = d.Universe.AudienceLists(c.Audiences)
	if c.Chosen {
		d.branches = branchesIn(append(slices.Clone(d.Universe.Branches), c.Texts...))
		d.meant, d.others = d.split()
	}
	for _, text := range c.Texts {
		for _, span := range bitbucket.UUIDs(text) {
			d.named = append(d.named, bitbucket.Braced(text[span.Start:span.End]))
		}
	}
	slices.Sort(d.named)
	d.named = slices.DeleteFunc(slices.Compact(d.named), func(uuid string) bool {
		return slices.ContainsFunc(d.lists, func(l []string) bool { return l[0] == bitbucket.WorkspaceARI+strings.Trim(uuid, "{}") })
	})
	d.made = d.madeUp()
	if c.Inside != "" {
		d.begun = begun(c.Texts)
	}
	return d.cells()
}

// begun are UUIDs with the beginnings of texts that end inside a UUID, such as {2e9e.
func begun(texts []string) []string {
	const most = 8
	var all []string
	for _, text := range texts {
		text, _, _ = strings.Cut(strings.TrimPrefix(text, "^"), "*")
		text = strings.NewReplacer(`\{`, "{", ".", "").Replace(text)
		if !strings.HasPrefix(text, "{") || len(text) < 2 || len(text) >= len(bitbucket.UUIDForm) || len(all) == most {
			continue
		}
		uuid := text + bitbucket.MadeUpUUIDs()[0][len(text):]
		if bitbucket.IsBraced(uuid) {
			all = append(all, uuid)
		}
	}
	return all
}

// A decider decides the cells of one document.
type decider struct {
	Classes
	ctx      context.Context
	lists    [][]string
	usual    int
	branches []string
	meant    []string // branches that the universe means
	others   []string // branches that it does not
	named    []string // UUIDs that the document names, in order
	made     [3]string
	begun    []string // UUIDs that begin like a text of the document
	left     int      // judgements that may still be made
}

// cells are the cells of the repositories of the universe, of those that the document names, and of any other repository.
func (d *decider) cells() []Cell {
	u := d.Universe
	rest := d.repository(bitbucket.Repository{}) // first, because it matters most if there is too much work
	var all []Cell
	for _, r := range u.Repositories {
		all = append(all, d.repository(r)...)
	}
	for _, uuid := range d.named {
		_, known := u.Repository(uuid)
		if _, environment := u.Owner(uuid); known || environment {
			continue
		}
		cells := d.repository(bitbucket.Repository{UUID: uuid})
		if slices.ContainsFunc(cells, func(c Cell) bool { return c.Reach.Maybe && d.Inside == "" || c.Reach.Some }) {
			all = append(all, cells...)
		}
	}
	return append(all, rest...)
}

// repository decides the cells of a repository, or of any other.
func (d *decider) repository(r bitbucket.Repository) []Cell {
	all := []Cell{d.decide(r.UUID, "", false)}
	for _, e := range r.Environments {
		all = append(all, d.decide(r.UUID, e.UUID, true))
	}
	_, known := d.Universe.Repository(r.UUID)
	for _, uuid := range d.named {
		if r.UUID != "" && !known && len(d.named) > fewNamed {
			break
		}
		_, known := d.Universe.Owner(uuid)
		if _, repository := d.Universe.Repository(uuid); known || repository || uuid == r.UUID {
			continue
		}
		if c := d.decide(r.UUID, uuid, true); c.Reach.Some || c.Reach.Maybe && d.Inside == "" {
			all = append(all, c)
		}
	}
	rest := d.decide(r.UUID, "", true)
	// An environment that the document names is of interest only if other environments of the repository do not get in likewise.
	all = slices.DeleteFunc(all, func(c Cell) bool {
		return c.Environment != "" && !c.Known && slices.Contains(d.named, c.Environment) && rest.Reach.All && c.Reach.All
	})
	return append(all, rest)
}

// decide decides one cell.
func (d *decider) decide(repository, environment string, deployment bool) Cell {
	c := NewCell(d.Universe, repository, environment, deployment)
	if len(d.Universe.Meant) > 0 {
		c.Usual = d.extent(c, d.lists[:d.usual], d.meant)
		c.Reach = d.extent(c, d.lists, d.branches)
		c.Elsewhere = d.extent(c, d.lists, d.others)
		return c
	}
	c.Usual = d.extent(c, d.lists[:d.usual], d.branches)
	c.Reach = c.Usual
	if d.usual < len(d.lists) && !c.Usual.All {
		c.Reach = join(c.Usual, d.extent(c, d.lists[d.usual:], d.branches))
	}
	return c
}

// join is what gets in with either of two sets of audiences.
func join(a, b Extent) Extent {
	e := Extent{Some: a.Some || b.Some, All: a.All || b.All, Maybe: a.Maybe || b.Maybe, MaybeAll: a.MaybeAll || b.MaybeAll, Share: max(a.Share, b.Share)}
	e.Witness, e.Refused, e.Why = a.Witness, a.Refused, a.Why
	if e.Witness == nil || b.Some && !a.Some {
		e.Witness = b.Witness
	}
	if e.Why == "" {
		e.Why = b.Why
	}
	if b.MaybeAll {
		e.Refused = nil
	}
	return e
}

// extent judges the representatives of a cell with each list of audiences and each branch.
func (d *decider) extent(c Cell, lists [][]string, branches []string) Extent {
	e := Extent{}
	for _, list := range lists {
		m := d.member(c, list)
		if d.Chosen {
			m.Branch = branches[0]
		}
		verdict, why := d.judge(m, d.Chosen)
		switch {
		case verdict == Allow:
			e.admit(d.Universe.Member(m))
			e.All, e.MaybeAll = true, true
		case verdict == Undecided && !d.Chosen:
			e.perhaps(d.Universe.Member(m), why)
			e.MaybeAll = true
		case verdict == Undecided:
			d.everyBranch(&e, m, branches, why)
		case e.Refused == nil:
			id := d.Universe.Member(m)
			e.Refused = &id
		}
		if e.All {
			break
		}
	}
	for _, uuid := range d.begun {
		if c.Repository == "" && !e.Some {
			m := d.member(c, lists[0])
			m.Repository = uuid
			if verdict, _ := d.judge(m, false); verdict == Allow {
				e.admit(d.Universe.Member(m))
			}
		}
	}
	if d.Inside != "" && !e.Some {
		m := d.member(c, lists[0])
		e.Maybe, e.MaybeAll, e.All, e.Refused = true, true, false, nil
		e.Why = "its whole UUIDs, because the document looks at parts of UUIDs: " + d.Inside
		if e.Witness == nil {
			id := d.Universe.Member(m)
			e.Witness = &id
		}
	}
	if d.Inside != "" {
		e.All = false
	}
	if e.MaybeAll {
		e.Refused = nil
	}
	if e.Maybe {
		e.Share = 1
	}
	return e
}

// everyBranch judges a representative on each of the branches.
func (d *decider) everyBranch(e *Extent, m bitbucket.Member, branches []string, why string) {
	all, maybeAll := true, true
	for _, branch := range branches {
		m.Branch = branch
		verdict, branchWhy := d.judge(m, false)
		if branchWhy != "" {
			why = branchWhy
		}
		id := d.Universe.Member(m)
		switch verdict {
		case Allow:
			e.admit(id)
		case Undecided:
			e.perhaps(id, why)
			all = false
		default:
			all, maybeAll = false, false
			if e.Refused == nil {
				e.Refused = &id
			}
		}
	}
	if e.Witness == nil && !d.tried(branches) { // somebody may get in on a branch that was not tried
		m.Branch = branches[0]
		e.perhaps(d.Universe.Member(m), "the branch or the audiences")
	}
	e.All, e.MaybeAll = e.All || all, e.MaybeAll || maybeAll
}

// admit adds somebody who certainly gets in.
func (e *Extent) admit(id bitbucket.Identity) {
	if !e.Some {
		e.Witness, e.Why = &id, ""
	}
	e.Some, e.Maybe = true, true
}

// perhaps adds somebody who may get in.
func (e *Extent) perhaps(id bitbucket.Identity, why string) {
	if e.Witness == nil {
		e.Witness = &id
	}
	if e.Why == "" {
		e.Why = why
	}
	e.Maybe = true
}

// member is a representative of a cell.
func (d *decider) member(c Cell, audience []string) bitbucket.Member {
	made := d.made
	m := bitbucket.Member{Repository: c.Repository, Environment: c.Environment, Step: made[2], Audience: audience}
	if m.Repository == "" {
		m.Repository = made[0]
	}
	if c.Deployment && m.Environment == "" {
		m.Environment = made[1]
	}
	return m
}

// madeUp are UUIDs that neither the document nor the universe has.
func (d *decider) madeUp() [3]string {
	made := bitbucket.MadeUpUUIDs()
	known := d.Universe.Known()
	for i, n := 0, len(made); i < len(made); i++ {
		for ; slices.Contains(d.named, made[i]) || slices.Contains(known, made[i]); n++ {
			made[i] = fmt.Sprintf("%s%012x}", made[i][:25], n+1)
		}
	}
	return made
}

// judge judges a representative.
func (d *decider) judge(m bitbucket.Member, chosen bool) (Verdict, string) {
	if d.left--; d.left < 0 || d.ctx.Err() != nil {
		return Undecided, "more cases than are tried here"
	}
	verdict, why := d.Judge(d.Universe.Member(m), chosen)
	if verdict == Undecided && why == "" {
		why = "a value that neither the document nor the identity contains"
	}
	return verdict, strings.TrimSuffix(why, ".")
}
