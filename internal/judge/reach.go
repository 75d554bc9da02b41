package judge

import (
	"context"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// A reacher is a document that says who gets in. An OIDC provider of IAM's is none: it lets nobody in by itself.
type reacher interface {
	Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell
}

// Reach finds who gets in through every file, in their order. Where ctx ends or the work grows too large, cells are undecided. A file
// that cannot be read as a document of a known kind is an error that names it; errors of all files are joined.
func Reach(ctx context.Context, files []trust.File, u bitbucket.Universe) ([]trust.Reached, error) {
	documents, err := Read(files)
	if err != nil {
		return nil, err
	}
	return documents.Reach(ctx, u), nil
}

// Reach finds who gets in through every document. Of a list of roles, those that trust no workspace that is asked about are left out.
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
