package judge

import (
	"context"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// A reacher is a document that lets identities in. An OIDC provider of IAM is not one: by itself it lets nobody in.
type reacher interface {
	Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell
}

// Reach finds who gets in through each file, in the order of the files. Cells are undecided if ctx ends or if there is too much work.
// Errors are those of [Read].
func Reach(ctx context.Context, files []trust.File, u bitbucket.Universe) ([]trust.Reached, error) {
	documents, err := Read(files)
	if err != nil {
		return nil, err
	}
	return documents.Reach(ctx, u), nil
}

// Reach finds who gets in through each document. Roles that do not trust the workspace of the universe are left out.
func (all Documents) Reach(ctx context.Context, u bitbucket.Universe) []trust.Reached {
	var reached []trust.Reached
	for _, d := range all {
		document, ok := d.(reacher)
		if l, partial := d.(interface{ Trusts(bitbucket.Universe) bool }); !ok || partial && !l.Trusts(u) {
			continue
		}
		r := trust.Reached{File: d.File().Name, Kind: d.Kind(), Name: d.Name(), Cells: document.Reach(ctx, u)}
		if t, ok := d.(interface{ Target() string }); ok {
			r.Target = t.Target()
		}
		reached = append(reached, r)
	}
	return reached
}
