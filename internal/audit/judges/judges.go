// Package judges asks about the steps of a pipelines file what lies outside of it: trust documents, an access map, and
// guardrails. What depends on something that is not known here is undecided, and no finding.
package judges

import (
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

// Rules lists the rules of all judges, in the order of the documentation.
func Rules() []finding.Rule {
	return slices.Concat(Documents{}.Rules(), AccessMap{}.Rules(), Guardrails{}.Rules())
}

// A Repository is the repository with the steps. What is not known is empty.
type Repository struct {
	Workspace      string // the slug
	WorkspaceUUID  string
	RepositoryUUID string
	Environments   map[string]string // UUIDs by names in small letters
	Now            time.Time
}

// known reports whether an identity can be put together. A value that is not a UUID, such as a variable that nothing replaced, counts
// as missing.
func (r Repository) known() bool {
	return r.Workspace != "" && isUUID(r.WorkspaceUUID) && isUUID(r.RepositoryUUID)
}

func isUUID(s string) bool { return bitbucket.IsUUID(strings.Trim(s, "{}")) }

// A member is one identity that a step can have.
type member struct {
	branch      string
	environment string // UUID; empty without one
	madeUp      bool   // whether the environment's UUID is made up
}

// madeUpBranch represents the branches that a pattern matches.
const madeUpBranch = "a-branch/that-nobody-has"

// members are the identities of a step, one for each branch that is known, or one for all; certain is false where the step's
// subject itself is open.
func (r Repository) members(s *audit.Step) (all []member, certain bool) {
	m := member{}
	if s.Environment != nil {
		m.environment = r.Environments[strings.ToLower(*s.Environment)]
		if m.environment == "" {
			m.environment, m.madeUp = bitbucket.MadeUpUUIDs()[1], true
		}
	}
	for _, b := range s.Branches {
		one := m
		one.branch = b
		if strings.ContainsAny(b, "*?") {
			one.branch = madeUpBranch
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		m.branch = madeUpBranch // of a tag: not confirmed what the token says
		all = []member{m}
	}
	return all, s.Environment == nil || s.Deploys
}

// identity puts an identity together.
func (r Repository) identity(s *audit.Step, m member) (bitbucket.Identity, error) {
	return bitbucket.Parts{
		Workspace: r.Workspace, WorkspaceUUID: r.WorkspaceUUID, RepositoryUUID: r.RepositoryUUID, EnvironmentUUID: m.environment, Branch: m.branch,
		Audiences: audiences(s), Now: r.Now,
	}.Identity()
}

// partly puts an identity together that says what is not known: nothing in it is made up.
func (r Repository) partly(s *audit.Step, m member) (bitbucket.Identity, error) {
	p := bitbucket.Parts{
		Workspace: r.Workspace, WorkspaceUUID: r.WorkspaceUUID, RepositoryUUID: r.RepositoryUUID, Audiences: audiences(s), Now: r.Now,
		SomeBranch: m.branch == madeUpBranch, SomeEnvironment: m.madeUp,
	}
	if !p.SomeBranch {
		p.Branch = m.branch
	}
	if !p.SomeEnvironment {
		p.EnvironmentUUID = m.environment
	}
	return p.Identity()
}

// audiences are the step's own, without the workspace's.
func audiences(s *audit.Step) []string {
	if len(s.Audiences) < 2 {
		return nil
	}
	return s.Audiences[1:]
}

func braced(uuid string) string {
	if uuid == "" {
		return ""
	}
	return "{" + strings.ToLower(strings.Trim(uuid, "{}")) + "}"
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func madeUp(i int) string { return bitbucket.MadeUpUUIDs()[i] }
