package judge

import (
	"context"
	"errors"
	"fmt"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/iam"
)

// Reach finds who gets in through every file, in their order. Where ctx ends or the work grows too large, cells are undecided. A file
// that cannot be read as a document of a known kind is an error that names it; errors of all files are joined.
func Reach(ctx context.Context, files []trust.File, u bitbucket.Universe) ([]trust.Reached, error) {
	var all []trust.Reached
	var errs []error
	for _, file := range files {
		reached, err := reach(ctx, file.Data, u)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file.Name, err))
		}
		for _, r := range reached {
			r.File = file.Name
			all = append(all, r)
		}
	}
	return all, errors.Join(errs...)
}

func reach(ctx context.Context, data []byte, u bitbucket.Universe) ([]trust.Reached, error) {
	if _, err := document.Parse(data); err != nil {
		return nil, err
	}
	if reached, ok, err := iam.Reach(ctx, data, u); ok || err != nil {
		return reached, err
	}
	return nil, errors.New("it is no document of a known kind")
}
