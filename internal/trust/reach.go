package trust

import (
	"slices"

	"bitbucket-oidc/internal/bitbucket"
)

// A Cell is a part of a workspace: steps of one repository or of any other repository, off deployments, on deployments to one environment,
// or on deployments to any other environment. Every step of the workspace is in exactly one cell of a document.
type Cell struct {
	Who         string // such as shop/production, shop/none, any other repository/any other environment
	Repository  string // the UUID in braces; empty for any repository without cells of its own
	Environment string // the UUID in braces; empty for none, or for any environment without a cell of its own
	Deployment  bool   // whether the steps have an environment
	Known       bool   // whether the universe has the repository and, if the cell is of one, the environment

	// Reach is for steps with any audiences, because everybody who writes a pipeline can ask for any. Usual is for steps that ask for no
	// audience, or for an audience of the universe, and that are on a branch that the universe means. Elsewhere is for steps on other
	// branches than it means, as far as the document can see the branch; nobody if it means any.
	Reach, Usual, Elsewhere Extent
}

// An Extent is how much of a cell gets in: certainly, and at most if everything that is unknown lets in.
type Extent struct {
	Some, All       bool // certainly
	Maybe, MaybeAll bool // at most
	Pinned          bool // steps that the document names may get in, each of which ran once; the other fields leave them out

	// Share is the share of the possible UUIDs of the cell that get in: certainly or, if none certainly gets in, at most. It is about
	// UUIDs, not about repositories that exist.
	Share float64

	Witness *bitbucket.Identity // somebody of the cell who gets in or, if Some is false, may get in; nil if nobody does
	Refused *bitbucket.Identity // somebody of the cell who certainly does not get in; nil if there is none
	Why     string              // what Maybe depends on if Some is false: aws:SourceIp, or "this: " and a sentence
}

// Verdict is the verdict on the witness of the extent, or deny if there is no witness.
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
	Name   string // the name of the role, or the id of the provider; empty if the file does not say
	Target string // the ARN of the role; empty if the file does not say
	Cells  []Cell
}

// NewCell is a cell of a universe with its name. UUIDs are in braces.
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
