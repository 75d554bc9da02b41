package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// A place is an environment that a value names, with the repository that it names before it; empty for any repository.
type place struct{ repository, environment string }

// places are the repositories and environments that the policy names. Where a UUID stands in its value shows which of the two it is.
func (a *policyReach) places() (repositories []string, environments []place) {
	for _, value := range a.values {
		before := ""
		for _, span := range bitbucket.UUIDs(value) {
			uuid := "{" + value[span.Start:span.End] + "}"
			lead, tail := value[:span.Start], strings.TrimPrefix(value[span.End:], "}")
			if !strings.Contains(lead, ":") {
				repositories = append(repositories, uuid)
			}
			if strings.ContainsAny(lead, ":*?") && tail != "" {
				environments = append(environments, place{before, uuid})
			}
			before = uuid
		}
	}
	slices.Sort(repositories)
	return slices.Compact(repositories), distinct(environments)
}

// cells decides every cell. Where every other repository is refused, so are those that only the universe names.
func (a *policyReach) cells() []trust.Cell {
	named, environments := a.places()
	none, any := a.decide("", "", false), a.decide("", "", true)
	rest := []trust.Cell{none, any}
	refused := !none.Reach.Maybe && !any.Reach.Maybe
	for _, e := range environments {
		if _, known := a.u.Owner(e.environment); e.repository == "" && !known {
			rest = append(rest, a.decide("", e.environment, true))
		} else if owner, _ := a.u.Owner(e.environment); known && !slices.Contains(named, owner.UUID) {
			named = append(named, owner.UUID)
		}
	}
	var all []trust.Cell
	for _, r := range a.u.Repositories {
		if refused && !slices.Contains(named, r.UUID) {
			if !a.u.Terse {
				all = append(all, a.refused(r)...)
			}
			continue
		}
		all = append(all, a.repository(r.UUID, environments)...)
	}
	for _, uuid := range named {
		_, known := a.u.Repository(uuid)
		if _, environment := a.u.Owner(uuid); !known && !environment {
			all = append(all, a.repository(uuid, environments)...)
		}
	}
	return append(all, rest...)
}

// repository decides the cells of one repository.
func (a *policyReach) repository(uuid string, named []place) []trust.Cell {
	all := []trust.Cell{a.decide(uuid, "", false)}
	r, _ := a.u.Repository(uuid)
	for _, e := range r.Environments {
		all = append(all, a.decide(uuid, e.UUID, true))
	}
	for _, e := range named {
		_, known := a.u.Owner(e.environment)
		if _, isRepository := a.u.Repository(e.environment); known || isRepository || e.repository != "" && e.repository != uuid || e.environment == uuid {
			continue
		}
		if c := a.decide(uuid, e.environment, true); !slices.ContainsFunc(all, func(o trust.Cell) bool { return o.Who == c.Who }) {
			all = append(all, c)
		}
	}
	return append(all, a.decide(uuid, "", true))
}

// refused are the cells of a repository from which nobody gets in.
func (a *policyReach) refused(r bitbucket.Repository) []trust.Cell {
	made := bitbucket.MadeUpUUIDs()
	cell := func(environment string, deployment bool) trust.Cell {
		c := trust.NewCell(a.u, r.UUID, environment, deployment)
		if deployment && environment == "" {
			environment = made[1]
		}
		id := a.u.Member(bitbucket.Member{Repository: r.UUID, Environment: environment, Step: made[2], Audience: a.readings[0].audience})
		c.Reach.Refused, c.Usual.Refused = &id, &id
		return c
	}
	all := []trust.Cell{cell("", false)}
	for _, e := range r.Environments {
		all = append(all, cell(e.UUID, true))
	}
	return append(all, cell("", true))
}

// decide decides one cell.
func (a *policyReach) decide(repository, environment string, deployment bool) trust.Cell {
	c := trust.NewCell(a.u, repository, environment, deployment)
	c.Reach = a.extent(c, a.readings)
	c.Usual = c.Reach
	if !a.brief && a.usual < len(a.readings) {
		c.Usual = a.extent(c, a.readings[:a.usual])
	}
	return c
}

// form is what the subjects of a cell look like. They have none of the UUIDs in except. Those are the UUIDs that the policy names: of
// repositories and environments that have cells of their own, or of steps, which never run again.
func (a *policyReach) form(c trust.Cell, except []string) form {
	var f form
	f.append(c.Repository, except)
	if c.Deployment {
		f.append(c.Environment, except)
	}
	f.append("", except)
	return f
}
