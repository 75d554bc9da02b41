package judge

import (
	"context"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// An unknown document exists, and its content is not known: a Terraform plan knows the content only after apply.
type unknown struct {
	trust.Source
	kind trust.Kind
	why  string // what it depends on
}

// Kind is the kind that the document will have.
func (u *unknown) Kind() trust.Kind { return u.kind }

// Name is the role, or the target that the file names.
func (u *unknown) Name() string {
	if n := u.Inner.Get("RoleName"); n != nil {
		return n.Text
	}
	return u.Of
}

// Judge is undecided.
func (u *unknown) Judge(bitbucket.Identity, trust.Options) trust.Result {
	return u.Place(trust.Result{Kind: u.kind, Name: u.Name(), Verdict: trust.Undecided, Reason: "It depends on " + u.why + "."})
}

// Reach is undecided for everybody.
func (u *unknown) Reach(_ context.Context, w bitbucket.Universe) []trust.Cell {
	var all []trust.Cell
	add := func(repository, environment string, deployment bool) {
		c := trust.NewCell(w, repository, environment, deployment)
		c.Reach = trust.Extent{Maybe: true, MaybeAll: true, Why: u.why}
		c.Usual = c.Reach
		all = append(all, c)
	}
	for _, r := range w.Normal().Repositories {
		add(r.UUID, "", false)
		for _, e := range r.Environments {
			add(r.UUID, e.UUID, true)
		}
		add(r.UUID, "", true)
	}
	add("", "", false)
	add("", "", true)
	return all
}
