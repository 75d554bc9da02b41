// Package inventory finds out what is deployed: which targets there are, who gets in, and what was read. It takes documents as the
// clouds' tools print them, and what was read from the clouds themselves.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/collect"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/live"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/iam"
	"bitbucket-oidc/internal/trust/vaultrole"
	"bitbucket-oidc/internal/trust/wif"
)

// Given is what to look at.
type Given struct {
	Files    []trust.File
	Readings []live.Reading
	Map      *access.Map // what should be there; nil where there is no map yet
}

// Read reads what is deployed of a workspace. Errors name their files and are joined.
func Read(ctx context.Context, g Given, u bitbucket.Universe) (drift.State, error) {
	x := inventory{ctx: ctx, u: u.Normal(), m: g.Map, targets: map[string]int{}, sources: map[string]int{}, pages: map[string]bool{}}
	var errs []error
	for _, file := range g.Files {
		err := x.file(collect.File{Name: file.Name, Data: file.Data, Target: file.Target}, "file "+file.Name, "")
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file.Name, err))
		}
	}
	for _, r := range g.Readings {
		x.reading(r)
	}
	if err := errors.Join(errs...); err != nil {
		return drift.State{}, err
	}
	x.google()
	x.roles()
	x.missing()
	x.faults()
	x.count()
	return x.state, nil
}

// An inventory is what was seen so far.
type inventory struct {
	ctx context.Context
	u   bitbucket.Universe
	m   *access.Map

	things   []thing
	pools    []collect.Document
	controls []iam.Control             // of AWS's organisation, which count for every role
	mounts   map[string]*document.Node // configurations of Vault's mounts, by URL
	known    map[string]bool           // ARNs of all OIDC providers of IAM that are there, of accounts in listed
	listed   map[string]bool           // accounts whose providers are all known
	clients  map[string][]string       // client ids of OIDC providers of IAM, by ARN
	targets  map[string]int            // in state
	sources  map[string]int            // in state
	pages    map[string]bool           // of which sources there are pages, and whether the last one is there
	state    drift.State
}

// A thing is a document that says who gets in, and where it was seen.
type thing struct {
	trust.Document
	collected collect.Document
	how       string
	source    string // of a reading; empty for a file
}

func (x *inventory) file(f collect.File, how, source string) error {
	documents, err := collect.Files(f)
	if err != nil {
		return err
	}
	for _, d := range documents {
		if err := x.document(d, how, source); err != nil {
			return err
		}
	}
	return nil
}

func (x *inventory) document(d collect.Document, how, source string) error {
	switch d.Kind {
	case collect.Pool:
		x.pools = append(x.pools, d)
	case collect.Mount:
		x.mount(d, how)
	case collect.Control:
		c, err := iam.ReadControl(d.File)
		if err != nil {
			return err
		}
		x.controls = append(x.controls, c)
	case collect.Providers:
		x.providers(d, source)
	case collect.Direct:
		direct, ok := asImpersonation(d)
		if !ok {
			return nil
		}
		d = direct
		d.Kind = ""
	}
	documents, err := judge.Of(d)
	if err != nil {
		return err
	}
	for _, one := range documents {
		x.things = append(x.things, thing{one, d, how, source})
		if p, ok := one.(*iam.Provider); ok {
			x.provider(p)
		}
	}
	x.named(d, how)
	return nil
}

// reading takes what was read from a cloud. A source that could not be read is noted as such, with the reason.
func (x *inventory) reading(r live.Reading) {
	why := ""
	for _, d := range r.Documents {
		if err := x.file(collect.File{Name: r.Source, Data: d.Data, Target: d.Target}, "live", r.Source); err != nil {
			why = "a document cannot be read: " + err.Error()
		}
	}
	if r.Err != nil {
		why = strings.Join(strings.Split(r.Err.Error(), "\n"), "; ")
	}
	s := x.source(r.Source, "live")
	s.Partial = false
	if why != "" {
		s.Why = why
	}
}

// source is the source with a name. It is added if it is new.
func (x *inventory) source(name, how string) *drift.Source {
	i, ok := x.sources[name]
	if !ok {
		i = len(x.state.Sources)
		x.sources[name] = i
		x.state.Sources = append(x.state.Sources, drift.Source{Name: name, How: how, Partial: true})
	}
	s := &x.state.Sources[i]
	if how != "" && !slices.Contains(strings.Split(s.How, ", "), how) {
		s.How += ", " + how
	}
	return s
}

// whole notes that a source was read as a whole, or a page of it.
func (x *inventory) whole(d collect.Document, name, how string) {
	if !d.Whole && !d.Cut {
		return
	}
	x.source(name, how).Partial = false
	x.pages[name] = x.pages[name] || d.Whole
}

// found notes that an answer of a search goes on, unless the rest of it is there as well. A search says nothing of what it leaves out.
func (x *inventory) found(d collect.Document, name, how string) {
	if _, paged := x.pages[name]; d.Cut || paged {
		x.source(name, how)
		x.pages[name] = x.pages[name] || !d.Cut
	}
}

// missing notes the sources with pages and without a last page. No page shows whether a page between two others is missing.
func (x *inventory) missing() {
	for name, last := range x.pages {
		if s := x.source(name, ""); !last && s.Why == "" {
			s.Why = "a page of it is missing: follow every page"
		}
	}
}

// named adds the roles of a list that have only a name, because their policies do not name Bitbucket.
func (x *inventory) named(d collect.Document, how string) {
	for _, arn := range d.Names {
		if t, ok := access.ParseTarget(arn); ok {
			x.whole(d, "aws:"+t.Account, how)
			x.add(drift.Deployed{Target: t.Name, Source: "aws:" + t.Account})
		}
	}
	x.state.Gone = append(x.state.Gone, d.Gone...)
}

func textOf(n *document.Node) string {
	if n.Is(document.String) {
		return n.Text
	}
	return ""
}

// A reacher says who gets in through it, and judges one identity.
type reacher interface {
	Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell
	Judge(id bitbucket.Identity, o trust.Options) trust.Result
}

// deciding is the path of what decides about an identity: of the statement that lets it in or denies it, and there of the condition
// on the subject; else of the first condition that does not hold.
func deciding(r trust.Result) string {
	for _, s := range r.Steps {
		if s.Matches == nil || !*s.Matches || (s.Effect == "Allow") != (r.Verdict == trust.Allow) {
			continue
		}
		for _, c := range s.Conditions {
			if strings.HasSuffix(strings.ToLower(c.Key), ":sub") {
				return c.Path
			}
		}
		return s.Path
	}
	for _, s := range r.Steps {
		for _, c := range s.Conditions {
			if c.Holds == nil || !*c.Holds && s.Effect == "Allow" {
				return c.Path
			}
		}
	}
	return ""
}

// roles finds who gets in through each document.
func (x *inventory) roles() {
	for _, t := range x.things {
		r, ok := t.Document.(reacher)
		if _, provider := t.Document.(*wif.Provider); !ok || provider {
			continue
		}
		d := drift.Deployed{Target: target(t), Session: session(t.Document)}
		if d.Target = x.resolved(d.Target); d.Target == "" {
			if name := t.collected.Name; !slices.Contains(x.state.Unnamed, name) {
				x.state.Unnamed = append(x.state.Unnamed, name)
			}
			continue // for check only: no map can name it
		}
		if role, ok := t.Document.(*iam.Role); ok {
			role.Under(x.controls)
		}
		d.Source = x.sourceOf(d.Target, t)
		if l, ok := t.Document.(interface {
			Locate(path string) (string, finding.Place)
		}); ok && t.source == "" {
			d.Locate = l.Locate
		}
		if x.trusted(t.Document) && x.issues(d.Target) {
			d.Cells = ofWorkspace(r.Reach(x.ctx, x.of(d.Target)), x.u)
			d.Deciding = func(id bitbucket.Identity) string {
				return deciding(r.Judge(id, trust.Options{Now: x.u.Now, Duration: time.Hour}))
			}
		}
		x.add(d)
	}
}

// trusted reports whether a document trusts the workspace at all.
func (x *inventory) trusted(d trust.Document) bool {
	switch d := d.(type) {
	case *iam.Role:
		return d.Federates(x.u)
	case *wif.Policy:
		return d.Federates()
	}
	return true
}

// of is the workspace whose steps ask for the audiences that the map's grants of one target have, and are on the branches of these grants.
func (x *inventory) of(target string) bitbucket.Universe {
	u := x.u
	if x.m == nil {
		return u
	}
	u.Audiences = nil
	grants := x.m.Of(target, x.u.Now)
	for _, g := range grants {
		u.Audiences = append(u.Audiences, g.Audiences...)
	}
	// A target has one list of branches for everybody: grants with different ones, no target can hold.
	if len(grants) > 0 && !slices.ContainsFunc(grants, func(g access.Grant) bool { return !slices.Equal(g.Branches, grants[0].Branches) }) {
		u.Meant = grants[0].Branches
	}
	return u
}

// target is the target that a document is about.
func target(t thing) string {
	if named, ok := t.Document.(interface{ Target() string }); ok && named.Target() != "" {
		return named.Target()
	}
	return t.collected.Target
}

// sourceOf is where a target was read, and notes what is known of that source.
func (x *inventory) sourceOf(name string, from thing) string {
	t, ok := access.ParseTarget(name)
	switch {
	case !ok:
		return from.source
	case t.Kind == access.AWSRole:
		x.whole(from.collected, "aws:"+t.Account, from.how)
		return "aws:" + t.Account
	case t.Kind == access.ServiceAccount:
		x.found(from.collected, "gcp:"+t.Project, from.how)
		return "gcp:" + t.Project
	case t.Kind == access.VaultRole:
		x.source("vault:"+t.Mount, from.how)
		return "vault:" + t.Mount
	}
	return from.source
}

// resolved is a target's name in full: for a role of Vault without a known server, the target of the map that ends in the name.
func (x *inventory) resolved(name string) string {
	if !strings.HasPrefix(name, "auth/") {
		return name
	}
	if x.m == nil {
		return ""
	}
	var found []string
	for _, t := range x.m.Targets() {
		if t.Kind == access.VaultRole && strings.HasSuffix(t.Name, "/v1/"+name) {
			found = append(found, t.Name)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// session is how long a session may last, as far as a document says.
func session(d trust.Document) time.Duration {
	switch d := d.(type) {
	case *iam.Role:
		return d.Longest()
	case *vaultrole.Role:
		for _, name := range []string{"token_max_ttl", "token_ttl"} {
			if n := d.Inner.Get(name); n != nil && n.Text != "" && n.Text != "0" {
				return lasting(n.Text)
			}
		}
	}
	return 0
}

// lasting reads how long something lasts: whole seconds, as Vault prints it, or a duration, as it is written. Zero where it is neither.
func lasting(text string) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return max(d, 0)
}

// ofWorkspace are the cells, or none where nobody of the workspace can get in because no provider of it is trusted.
func ofWorkspace(cells []trust.Cell, u bitbucket.Universe) []trust.Cell {
	return slices.DeleteFunc(slices.Clone(cells), func(c trust.Cell) bool {
		for _, id := range []*bitbucket.Identity{c.Reach.Witness, c.Reach.Refused} {
			if id != nil && id.Claims.Issuer != u.Issuer {
				return true
			}
		}
		return false
	})
}
