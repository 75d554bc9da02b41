package judges

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"
)

func mapNotGranted() finding.Rule {
	return finding.Rule{
		Name: "map-not-granted", Severity: finding.Error,
		Finds: "a role that a step asks for, and that the access map does not grant to it",
		Why:   "The map says what was agreed. A trust policy that is rendered from it refuses the step.",
		Fix:   "Add the grant to the map by a pull request, or ask for a role that is granted.",
	}
}

// An AccessMap judges whether the map grants what steps ask for. The environments of the map have their UUIDs in it.
type AccessMap struct {
	Repository
	Map *access.Map
}

var _ audit.Judge = AccessMap{}

// Rules are the rules about a map.
func (m AccessMap) Rules() []finding.Rule { return []finding.Rule{mapNotGranted()} }

// Judge finds what the map does not grant. Targets with a variable, and targets of kinds that the map does not know, are not
// judged.
func (m AccessMap) Judge(steps []*audit.Step) []audit.Judgement {
	uuid := braced(m.RepositoryUUID)
	repository, known := m.Map.Repository(uuid)
	if uuid == "" {
		return nil
	}
	var all []audit.Judgement
	for _, s := range steps {
		for _, a := range s.Asks() {
			target, ok := access.ParseTarget(*a.Who)
			if !ok || s.Environment != nil && !s.Deploys {
				continue
			}
			why := ""
			switch {
			case m.WorkspaceUUID != "" && braced(m.WorkspaceUUID) != m.Map.Workspace.UUID:
				why = "the map is about another workspace"
			case !known:
				why = "the map does not list this repository"
			case !m.granted(s, target.Name, uuid):
				why = "no grant of the map gives it to " + repository.Name + "/" + cmp.Or(deref(s.Environment), access.NoEnvironment)
			}
			if why != "" {
				all = append(all, audit.Judgement{
					Rule: mapNotGranted(), Steps: []*audit.Step{s}, About: target.Name,
					Message: fmt.Sprintf("The step asks for %s, which %s does not grant: %s.", target.Name, m.Map.File, why),
				})
			}
		}
	}
	return all
}

// granted reports whether a grant lets the step in. Where the grant names branches and the step's are patterns, it is taken for
// granted: on which branch the step runs is not known.
func (m AccessMap) granted(s *audit.Step, target, repository string) bool {
	for _, g := range m.Map.Of(target, m.Now) {
		if !slices.ContainsFunc(g.Who, func(w access.Who) bool { return m.covers(w, s, repository) }) {
			continue
		}
		if len(g.Branches) == 0 || len(s.Branches) == 0 || slices.ContainsFunc(s.Branches, func(b string) bool {
			return strings.ContainsAny(b, "*?") || slices.ContainsFunc(g.Branches, func(glob string) bool { return glob == b || strings.ContainsAny(glob, "*?") })
		}) {
			return true
		}
	}
	return false
}

func (m AccessMap) covers(w access.Who, s *audit.Step, repository string) bool {
	if w.Repository.UUID != repository {
		return false
	}
	switch w.Environment {
	case access.AnyEnvironment:
		return true
	case access.NoEnvironment:
		return s.Environment == nil
	}
	if s.Environment == nil {
		return false
	}
	uuid := braced(m.Environments[strings.ToLower(*s.Environment)])
	return uuid != "" && uuid == w.UUID || uuid == "" && strings.EqualFold(w.Environment, *s.Environment)
}

// Environments are those that a map has of a repository.
func Environments(m *access.Map, repository string) map[string]string {
	all := map[string]string{}
	if r, ok := m.Repository(braced(repository)); ok {
		for _, e := range r.Environments {
			all[strings.ToLower(e.Name)] = e.UUID
		}
	}
	return all
}
