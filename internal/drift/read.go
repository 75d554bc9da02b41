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

// wasRead reports whether a target's source was read as a whole, so a target that was not seen does not exist.
func (c *comparison) wasRead(t access.Target) bool {
	name := source(t)
	return slices.ContainsFunc(c.state.Sources, func(s Source) bool { return s.Name == name && s.Why == "" && !s.Partial })
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
