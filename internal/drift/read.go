package drift

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/bitbucket"
)

// source is where a target must have been read: its account, its project, its mount.
func source(t access.Target) string {
	switch t.Kind {
	case access.AWSRole:
		return "aws:" + t.Account
	case access.ServiceAccount:
		return "gcp:" + t.Project
	case access.VaultRole:
		return "vault:" + t.Mount
	}
	return "okta:" + t.Team
}

// wasRead reports whether a target's source was read as a whole, so that a target that was not seen does not exist.
func (c *comparison) wasRead(t access.Target) bool {
	name := source(t)
	return slices.ContainsFunc(c.state.Sources, func(s Source) bool { return s.Name == name && s.Why == "" && !s.Partial })
}

// read finds what the map wants to be read and no input held.
func (c *comparison) read() {
	wanted := map[string][]string{"aws": c.m.Read.AWS, "gcp": c.m.Read.GCP, "vault": c.m.Read.Vault}
	for _, cloud := range []string{"aws", "gcp", "vault"} {
		for _, name := range wanted[cloud] {
			full := cloud + ":" + name
			i := slices.IndexFunc(c.state.Sources, func(s Source) bool { return s.Name == full })
			if i < 0 {
				c.unread(full, "no input held it")
			}
		}
	}
	for _, s := range c.state.Sources {
		if s.Why != "" {
			c.unread(s.Name, s.Why)
		}
	}
}

func (c *comparison) unread(name, why string) {
	d := c.relying(name)
	d.Kind, d.Target = Unread, name
	d.Message = fmt.Sprintf("%s was not read: %s.", name, strings.TrimSuffix(why, "."))
	d.Fix.Text = "give its documents, or let the reading identity in"
	c.add(d)
}

// relying is a difference at the place of the map that relies on a source: the item of read that names it, or else the first grant of a
// target in it.
func (c *comparison) relying(name string) Difference {
	var d Difference
	if at := c.m.PlaceOfRead(name); at.Line > 0 {
		d.Line, d.Column = at.Line, at.Column
		return d
	}
	for _, g := range c.m.Grants {
		if "gcp:"+g.Through == name || slices.ContainsFunc(g.Become, func(t access.Target) bool { return source(t) == name }) {
			d.Line, d.Column, d.Grant = g.Line, g.Column, fmt.Sprintf("grants[%d]", g.Index)
			return d
		}
	}
	return d
}

// sourceOfProvider is the source of a provider: the account of AWS's, the resource name of Google's, the mount of Vault's.
func sourceOfProvider(name string) string {
	switch parts := strings.Split(name, ":"); {
	case parts[0] == "arn" && len(parts) > 4:
		return "aws:" + parts[4]
	case strings.HasPrefix(name, "projects/"):
		return "gcp:" + name
	}
	return "vault:" + name
}

func (c *comparison) providers() {
	for _, f := range c.state.Faults {
		d := c.relying(sourceOfProvider(f.Provider))
		d.Kind, d.Target = Provider, f.Provider
		d.Message, d.Fix = f.Message, f.Fix
		c.add(d)
	}
}

// grants finds grants that have expired, and what no cloud can hold of the others.
func (c *comparison) grants() {
	for _, g := range c.m.Grants {
		at := Difference{Grant: fmt.Sprintf("grants[%d]", g.Index)}
		at.Line, at.Column = g.Line, g.Column
		for _, t := range g.Become {
			d := at
			d.Target = t.Name
			for _, w := range g.Who {
				d.Who = append(d.Who, w.String())
			}
			if g.Expired(c.now) {
				d.Kind = Expired
				d.Message = fmt.Sprintf("The grant of %s to %s ended on %s.", t.Name, listed(d.Who), g.Until.Format("2006-01-02"))
				d.Fix.Text = "extend until by pull request, or remove the grant"
				c.add(d)
				continue
			}
			if why := unenforceable(t, g); why != "" {
				d.Kind, d.Message = Unenforceable, why
				d.Fix.Text = "use a deployment environment: Bitbucket can restrict its branches"
				c.add(d)
			}
		}
	}
}

// unenforceable is what a cloud cannot hold of a grant.
func unenforceable(t access.Target, g access.Grant) string {
	if t.Kind == access.VaultRole && slices.ContainsFunc(g.Who, func(w access.Who) bool { return w.Environment == access.NoEnvironment }) {
		return "Vault cannot require that a step has no deployment environment."
	}
	if len(g.Branches) == 0 || t.Kind == access.VaultRole {
		return ""
	}
	return fmt.Sprintf("The branches %s cannot be held by the policy of %s.", strings.Join(g.Branches, ", "), t.Name)
}

// Universe is the workspace of a map, with its names.
func Universe(m *access.Map, now time.Time) bitbucket.Universe {
	u := bitbucket.Universe{Issuer: m.Workspace.Issuer(), WorkspaceUUID: m.Workspace.UUID, Audience: m.Workspace.Audience(), Terse: true, Now: now}
	for _, r := range m.Repositories {
		known := bitbucket.Repository{Name: r.Name, UUID: r.UUID}
		for _, e := range r.Environments {
			known.Environments = append(known.Environments, bitbucket.Environment{Name: e.Name, UUID: e.UUID})
		}
		u.Repositories = append(u.Repositories, known)
	}
	for _, g := range m.Grants {
		for _, a := range g.Audiences {
			if !slices.Contains(u.Audiences, a) {
				u.Audiences = append(u.Audiences, a)
			}
		}
		for _, b := range g.Branches {
			if !strings.ContainsAny(b, "*?[") && !slices.Contains(u.Branches, b) {
				u.Branches = append(u.Branches, b)
			}
		}
	}
	return u
}
