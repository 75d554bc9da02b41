// Package access is the access map: one file, reviewed by pull request, that says in names which people know who may become what.
// Trust policies are rendered from it and compared with it.
package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/strictyaml"
)

// DefaultFile is the map's name where no flag gives another.
const DefaultFile = "access.yaml"

// MaxFile bounds a map. One of 200 repositories and 600 environments has 60 KiB.
const MaxFile = 4 << 20

// A Map is an access map that has no mistake.
type Map struct {
	File         string
	SHA256       string // of the file
	Workspace    Workspace
	Repositories []Repository // in the order of the file
	Read         Read
	Grants       []Grant
	Accept       []accept.Entry // known differences, each accepted until a day

	byTarget map[string][]int // the indices of the grants that name a target
	places   map[string]Place // of the list of grants, and of each item of read
}

// A Place is a line and a column of the map, from 1.
type Place struct{ Line, Column int }

// PlaceOfGrants is the key of the list of grants, to which a missing grant is added.
func (m *Map) PlaceOfGrants() Place { return m.places["grants"] }

// PlaceOfRead is where read names a source, in the form aws:ACCOUNT, gcp:PROVIDER or vault:MOUNT. It is zero where read does not.
func (m *Map) PlaceOfRead(source string) Place { return m.places[source] }

// A Workspace is the one that the map is about: its tokens have an issuer and an audience of their own.
type Workspace struct {
	Slug string
	UUID string // in braces and lower case, as all UUIDs here
}

// Issuer is the issuer of the workspace's tokens.
func (w Workspace) Issuer() string {
	return "https://api.bitbucket.org/2.0/workspaces/" + w.Slug + "/pipelines-config/identity/oidc"
}

// Audience is the audience that every token of the workspace has.
func (w Workspace) Audience() string {
	return "ari:cloud:bitbucket::workspace/" + strings.Trim(w.UUID, "{}")
}

// A Repository is one that the map has a name for. The name is a label: only the UUID counts.
type Repository struct {
	Name         string
	UUID         string
	Environments []Environment
	Line, Column int
}

// An Environment is a deployment environment of a repository.
type Environment struct {
	Name, UUID   string
	Line, Column int
}

// Read names what a comparison must have read: an account, a provider or a mount that was not read is a difference.
type Read struct {
	AWS   []string // account numbers
	GCP   []string // resource names of providers
	Vault []string // URLs of JWT auth mounts
}

// A Grant says who may become which targets.
type Grant struct {
	Become       []Target
	Who          []Who
	Session      time.Duration // the longest; zero leaves it open
	Audiences    []string      // beside the workspace's own
	Branches     []string      // patterns, where the cloud can hold them
	Through      string        // Google: the provider that the steps come through
	Owner, Why   string
	Until        time.Time // the last day of the grant, in UTC; zero for no end
	Index        int       // in the file
	Line, Column int
}

// Expired reports whether the grant's last day was before now.
func (g Grant) Expired(now time.Time) bool {
	return !g.Until.IsZero() && !now.Before(g.Until.AddDate(0, 0, 1))
}

// The values of [Who.Environment] that are not the name of an environment.
const (
	NoEnvironment  = "none" // steps without a deployment environment
	AnyEnvironment = "*"    // every step, also with an environment that is made later
)

// A Who is a set of steps of one repository.
type Who struct {
	Repository  Repository
	Environment string // a name, [NoEnvironment] or [AnyEnvironment]
	UUID        string // of the environment; empty where Environment is no name
}

// String is the form of the file, such as shop/production.
func (w Who) String() string { return w.Repository.Name + "/" + w.Environment }

// Subject is a pattern, in IAM's form, that matches the subjects of w and no other subject.
func (w Who) Subject() string {
	switch w.Environment {
	case AnyEnvironment:
		return w.Repository.UUID + ":*"
	case NoEnvironment:
		return w.Repository.UUID + ":" + anyUUID
	}
	return w.Repository.UUID + ":" + w.UUID + ":*"
}

// anyUUID matches one UUID and nothing longer, so that a subject with an environment does not fit.
const anyUUID = "{????????-????-????-????-????????????}"

// Parse reads a map. Its error joins everything that is wrong with the file.
func Parse(name string, data []byte) (*Map, error) {
	file, err := strictyaml.Read(data, MaxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sum := sha256.Sum256(data)
	p := parser{
		m:     &Map{File: name, SHA256: hex.EncodeToString(sum[:]), places: map[string]Place{}},
		uuids: map[string]string{}, sessions: map[string]session{},
	}
	p.file(file.Root)
	var errs []error
	for _, problem := range file.Problems() {
		errs = append(errs, fmt.Errorf("%s: %w", name, problem))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.m.index()
	return p.m, nil
}

// Repository returns the repository with this UUID.
func (m *Map) Repository(uuid string) (Repository, bool) {
	i := slices.IndexFunc(m.Repositories, func(r Repository) bool { return r.UUID == uuid })
	if i < 0 {
		return Repository{}, false
	}
	return m.Repositories[i], true
}

// index makes the grants of a target quick to find: a map of an organisation has hundreds.
func (m *Map) index() {
	m.byTarget = map[string][]int{}
	for i, g := range m.Grants {
		for _, t := range g.Become {
			m.byTarget[t.Name] = append(m.byTarget[t.Name], i)
		}
	}
}

// Targets returns every target of the map once, in the order of their text.
func (m *Map) Targets() []Target {
	var all []Target
	seen := map[string]bool{}
	for _, g := range m.Grants {
		for _, t := range g.Become {
			if !seen[t.Name] {
				seen[t.Name] = true
				all = append(all, t)
			}
		}
	}
	slices.SortFunc(all, func(a, b Target) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Naming returns the grants that name a target, expired ones too, in the order of the file.
func (m *Map) Naming(target string) []Grant {
	var all []Grant
	for _, i := range m.byTarget[target] {
		all = append(all, m.Grants[i])
	}
	return all
}

// Names reports whether a grant names the target.
func (m *Map) Names(target string) bool { return len(m.byTarget[target]) > 0 }

// Of returns the grants of a target that are not expired at now.
func (m *Map) Of(target string, now time.Time) []Grant {
	return slices.DeleteFunc(m.Naming(target), func(g Grant) bool { return g.Expired(now) })
}

// Granted returns who may become a target at now, each once, in the order of the map.
func (m *Map) Granted(target string, now time.Time) []Who {
	var all []Who
	for _, g := range m.Of(target, now) {
		for _, w := range g.Who {
			if !slices.ContainsFunc(all, func(o Who) bool { return o.String() == w.String() }) {
				all = append(all, w)
			}
		}
	}
	return all
}
