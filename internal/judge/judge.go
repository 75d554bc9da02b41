// Package judge lists the kinds of documents that can be judged, and judges files.
package judge

import (
	"errors"
	"fmt"
	"slices"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/iam"
	"bitbucket-oidc/internal/trust/vaultrole"
	"bitbucket-oidc/internal/trust/wif"
)

// A judgeFunc judges a document of its kind. It returns false if the document is of another kind.
type judgeFunc func(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error)

// Rules lists every rule, in the order of the documentation.
func Rules() []finding.Rule {
	return slices.Concat(iam.Rules(), wif.Rules(), vaultrole.Rules())
}

// Judge judges every file against id, in their order. A file that cannot be read as a document of a known kind is an
// error that names it; errors of all files are joined.
func Judge(files []trust.File, id bitbucket.Identity, o trust.Options) ([]trust.Result, error) {
	kinds := kinds(files, soleProvider(files, id, o))
	var all []trust.Result
	var errs []error
	for _, file := range files {
		results, err := judge(file.Data, kinds, id, o)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file.Name, err))
		}
		for _, r := range results {
			r.File = file.Name
			all = append(all, trust.Whole(r))
		}
	}
	return all, errors.Join(errs...)
}

// kinds lists how to judge each kind of document. A provider and the policies of the same call are judged together.
func kinds(files []trust.File, provider *wif.ProviderJudgement) []judgeFunc {
	return []judgeFunc{
		iam.Roles,
		iam.Provider,
		func(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error) {
			p, ok, err := wif.Provider(data, id, o)
			if !ok || err != nil {
				return nil, ok, err
			}
			for _, file := range files {
				p.Bind(file.Data)
			}
			return []trust.Result{p.Result}, true, nil
		},
		func(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error) {
			r, ok, err := wif.Policy(data, provider, id, o)
			return []trust.Result{r}, ok, err
		},
		func(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error) {
			r, ok, err := vaultrole.Judge(data, id, o)
			return []trust.Result{r}, ok, err
		},
	}
}

func judge(data []byte, kinds []judgeFunc, id bitbucket.Identity, o trust.Options) ([]trust.Result, error) {
	if _, err := document.Parse(data); err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		if results, ok, err := kind(data, id, o); ok || err != nil {
			return results, err
		}
	}
	return nil, errors.New("it is no document of a known kind")
}

// soleProvider is the one Google provider among the files, with which their policies are judged, or nil: where there are
// several, the files do not say which one the step goes through. What cannot be read is reported with its file.
func soleProvider(files []trust.File, id bitbucket.Identity, o trust.Options) *wif.ProviderJudgement {
	var found []wif.ProviderJudgement
	for _, file := range files {
		if _, err := document.Parse(file.Data); err != nil {
			continue
		}
		if p, ok, err := wif.Provider(file.Data, id, o); ok && err == nil {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return &found[0]
}
