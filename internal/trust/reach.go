package trust

import (
	"slices"

	"bitbucket-oidc/internal/bitbucket"
)

// A Cell is a part of a workspace: the steps of one repository, or of any other, off deployments, of one deployment environment
// or of any other. Every step of the workspace is in exactly one cell of a document.
type Cell struct {
	Who         string // such as shop/production, shop/none, any other repository/any other environment
	Repository  string // the UUID in braces; empty: any other than those of the other cells
	Environment string // the UUID in braces; empty: none, or any other
	Deployment  bool   // whether the steps have an environment
	Known       bool   // whether the universe has the repository and, where the cell is of one, the environment

	// Reach is for steps with whatever audiences, as whoever writes a pipeline can ask for any. Usual is for steps that ask for none
	// or for one of the universe's.
	Reach, Usual Extent
}

// An Extent is how much of a cell gets in: certainly, and at most, as far as what is unknown decides it.
type Extent struct {
	Some, All       bool // certainly
	Maybe, MaybeAll bool // at most
	Pinned          bool // steps that the document names may get in, each of which ran once; the others do not count them

	// Share is how much of the cell's possible UUIDs get in, certainly or, where none does so certainly, at most. It is about UUIDs
	// and not about repositories that exist.
	Share float64

	Witness *bitbucket.Identity // somebody of the cell who gets in or, where Some is false, may get in; nil where nobody does
	Refused *bitbucket.Identity // somebody of the cell who certainly does not get in; nil where there is none
	Why     string              // what Maybe depends on where it is not Some, such as aws:SourceIp
}

// Verdict is what a judgement says of the extent's witness, or deny where there is none.
func (e Extent) Verdict() Verdict {
	switch {
	case e.Some:
		return Allow
	case e.Maybe:
		return Undecided
	}
	return Deny
}

// A Reached is who gets in through one document, or one role of a list.
type Reached struct {
	File   string
	Kind   Kind
	Name   string // the role, the provider's id; empty where the file does not say
	Target string // the role's ARN; empty where the file does not say
	Cells  []Cell
}

// NewCell is a part of a universe with its words. UUIDs are in braces.
func NewCell(u bitbucket.Universe, repository, environment string, deployment bool) Cell {
	c := Cell{Repository: repository, Environment: environment, Deployment: deployment}
	where, what := "any other repository", "none"
	var r bitbucket.Repository
	if repository != "" {
		where = "unlisted repository " + repository
		if r, c.Known = u.Repository(repository); r.Name != "" {
			where = r.Name
		}
	}
	switch {
	case environment != "":
		what = "unlisted environment " + environment
		i := slices.IndexFunc(r.Environments, func(e bitbucket.Environment) bool { return e.UUID == environment })
		if c.Known = i >= 0; c.Known && r.Environments[i].Name != "" {
			what = r.Environments[i].Name
		}
	case deployment:
		what = "any other environment"
	}
	c.Who = where + "/" + what
	return c
}
