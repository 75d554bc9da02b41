package bitbucket

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Universe describes a workspace, to find out who in it gets in. The zero Universe knows nothing: the workspace is then the one that a
// document names, and every repository in it is unlisted.
type Universe struct {
	Issuer        string       // the issuer of the workspace's tokens; empty: the issuer that a document names
	WorkspaceUUID string       // with or without braces; empty: the UUID in an audience that a document names
	Audience      string       // the audience of every token of the workspace; empty: the audience that Bitbucket documents
	Repositories  []Repository // cells are named after them

	// Audiences are the audiences that steps ask for in addition to the workspace's. The audiences that a document names are always tried.
	Audiences []string

	// Branches are names of branches to try. The branches that a document names and a made-up one are always tried.
	Branches []string

	// Meant are patterns of the branches that the steps are meant to be on: * stands for any characters. None means any branch.
	Meant []string

	// Claims are further claims of the tokens, such as iat and exp.
	// The values that another step has for them are not known.
	Claims map[string]any

	// Terse leaves out the cells of a repository if the document does not name it and nobody of it gets in.
	Terse bool

	// Now is the time with which the expiry of a provider is compared.
	Now time.Time
}

// A Repository is a repository that the caller knows.
type Repository struct {
	Name         string // empty: the repository is called unlisted
	UUID         string // with or without braces
	Environments []Environment
}

// An Environment is a deployment environment that the caller knows.
type Environment struct{ Name, UUID string }

// Representatives of everything that neither the caller nor a document names are made up, and look made up.
const (
	MadeUpAudience  = "https://made-up.example/0ddba11f"
	MadeUpBranch    = "made-up/0ddba11f"
	madeUpWorkspace = "{0ddba11f-5eed-4000-8000-00000000000f}"
)

// MadeUpUUIDs are the UUIDs of a repository, an environment and a step that do not exist.
func MadeUpUUIDs() [3]string {
	return [3]string{
		"{0ddba11f-5eed-4000-8000-000000000001}", "{0ddba11f-5eed-4000-8000-000000000002}", "{0ddba11f-5eed-4000-8000-000000000003}",
	}
}

// Normal is the universe with its UUIDs in the form of Bitbucket's claims: in braces and in lower case.
func (u Universe) Normal() Universe {
	u.WorkspaceUUID = Braced(u.WorkspaceUUID)
	u.Repositories = slices.Clone(u.Repositories)
	for i := range u.Repositories {
		r := &u.Repositories[i]
		r.UUID = Braced(r.UUID)
		r.Environments = slices.Clone(r.Environments)
		for j := range r.Environments {
			r.Environments[j].UUID = Braced(r.Environments[j].UUID)
		}
	}
	return u
}

// Known is every UUID of the universe, sorted.
func (u Universe) Known() []string {
	var all []string
	for _, r := range u.Repositories {
		all = append(all, r.UUID)
		for _, e := range r.Environments {
			all = append(all, e.UUID)
		}
	}
	if u.WorkspaceUUID != "" {
		all = append(all, u.WorkspaceUUID)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Repository finds a repository by its UUID in braces.
func (u Universe) Repository(uuid string) (Repository, bool) {
	i := slices.IndexFunc(u.Repositories, func(r Repository) bool { return r.UUID == uuid })
	if i < 0 {
		return Repository{UUID: uuid}, false
	}
	return u.Repositories[i], true
}

// Owner finds the repository that has an environment.
func (u Universe) Owner(environment string) (Repository, bool) {
	i := slices.IndexFunc(u.Repositories, func(r Repository) bool {
		return slices.ContainsFunc(r.Environments, func(e Environment) bool { return e.UUID == environment })
	})
	if i < 0 {
		return Repository{}, false
	}
	return u.Repositories[i], true
}

// OwnAudience is the audience of every token of the workspace. If the UUID of the workspace is not known, the audience has a made-up one.
func (u Universe) OwnAudience() string {
	switch {
	case u.Audience != "":
		return u.Audience
	case u.WorkspaceUUID != "":
		return WorkspaceARI + strings.Trim(u.WorkspaceUUID, "{}")
	}
	return WorkspaceARI + strings.Trim(madeUpWorkspace, "{}")
}

// AudienceLists are the lists of audiences to try for a document that names some audiences. Each list begins with the workspace's own
// audience, and the author of a pipeline can add others. The first lists, as many as usual says, are those of steps that ask for no
// audience or for one of the universe's audiences.
func (u Universe) AudienceLists(named []string) (lists [][]string, usual int) {
	var own, others []string
	for _, n := range named {
		if u.Audience == "" && u.WorkspaceUUID == "" && strings.HasPrefix(n, WorkspaceARI) {
			own = append(own, n) // the document's workspace
		} else {
			others = append(others, n)
		}
	}
	if len(own) == 0 {
		own = []string{u.OwnAudience()}
	}
	add := func(list ...string) {
		slices.Sort(list[1:])
		list = slices.Compact(slices.DeleteFunc(list, func(a string) bool { return a == "" }))
		if len(list) > 1 {
			list = append(list[:1], slices.DeleteFunc(slices.Clone(list[1:]), func(a string) bool { return a == list[0] })...)
		}
		if !slices.ContainsFunc(lists, func(l []string) bool { return slices.Equal(l, list) }) {
			lists = append(lists, list)
		}
	}
	for _, o := range own {
		add(o)
		for _, wanted := range u.Audiences {
			add(o, wanted)
		}
	}
	usual = len(lists)
	for _, o := range own {
		add(o, MadeUpAudience)
		for _, n := range others {
			add(o, n)
		}
		add(slices.Concat([]string{o}, others)...)
	}
	return lists, usual
}

// A Member is a step in a workspace.
type Member struct {
	Repository, Environment, Step string // UUIDs in braces; Environment is empty if the step is not a deployment
	Audience                      []string
	Branch                        string // empty if there is none
}

// Member is the identity of a step in the workspace, with the claims that Bitbucket documents.
func (u Universe) Member(m Member) Identity {
	claims := map[string]any{}
	maps.Copy(claims, u.Claims)
	for _, name := range []string{"deploymentEnvironmentUuid", "deploymentEnvironment", "branchName"} {
		delete(claims, name)
	}
	unknown := u.unknown(m)
	subject := m.Repository + ":" + m.Step
	if m.Environment != "" {
		subject = m.Repository + ":" + m.Environment + ":" + m.Step
		claims["deploymentEnvironmentUuid"] = m.Environment
	}
	workspace := u.WorkspaceUUID
	if uuid, ok := strings.CutPrefix(m.Audience[0], WorkspaceARI); ok && workspace == "" {
		workspace = Braced(uuid)
	}
	if _, given := claims["workspaceUuid"]; !given && workspace != "" {
		claims["workspaceUuid"] = workspace
	}
	claims["iss"], claims["sub"], claims["aud"] = u.Issuer, subject, m.Audience
	if len(m.Audience) == 1 {
		claims["aud"] = m.Audience[0]
	}
	claims["repositoryUuid"], claims["stepUuid"], claims["pipelineUuid"] = m.Repository, m.Step, madeUpPipeline
	if m.Branch != "" {
		claims["branchName"] = m.Branch
	}
	data, err := json.Marshal(claims)
	if err != nil {
		return Identity{} // cannot be: texts, and what was read from JSON
	}
	id, err := FromClaims(data)
	if err != nil {
		return Identity{} // cannot be: every claim that must be there is
	}
	id.Unknown = unknown
	return id
}

// unknown are the claims that a step may have, or has, with values that only the step's own token shows: those that Bitbucket
// lists or that were seen in tokens, and those of the universe. An issuer, for example, is the same in every step of a workspace.
func (u Universe) unknown(m Member) []string {
	all := []string{"iat", "exp", "compliant", "accountUuid", "pipelineRunUuid"}
	if m.Environment != "" {
		all = append(all, "deploymentEnvironment") // the environment's name
	}
	for name := range u.Claims {
		switch name {
		case "iss", "sub", "aud", "workspaceUuid", "repositoryUuid", "pipelineUuid", "stepUuid",
			"deploymentEnvironmentUuid", "deploymentEnvironment", "branchName":
		default:
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Around is a universe in which only the repository of an identity is known, and its environment if it has one.
func Around(id Identity) Universe {
	r := Repository{UUID: id.Claims.Repository()}
	if e := id.Claims.Environment(); e != "" {
		r.Environments = []Environment{{UUID: e}}
	}
	own := WorkspaceAudience(id.Claims)
	u := Universe{
		Issuer: id.Claims.Issuer, WorkspaceUUID: WorkspaceUUID(id.Claims), Audience: own, Repositories: []Repository{r}, Claims: id.All,
		Audiences: slices.DeleteFunc(slices.Clone(id.Claims.Audience), func(a string) bool { return a == own }),
	}
	if id.Claims.BranchName != "" {
		u.Branches = []string{id.Claims.BranchName}
	}
	return u.Normal()
}
