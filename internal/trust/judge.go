package trust

import (
	"errors"
	"fmt"
)

// A judgeFunc judges a document of its kind. It returns false if the document is of another kind.
type judgeFunc func(data []byte, id Identity, o Options) ([]Result, bool, error)

// Judge judges every file against id, in their order. A file that cannot be read as a document of a known kind is an
// error that names it; errors of all files are joined.
func Judge(files []File, id Identity, o Options) ([]Result, error) {
	kinds := kinds(files, soleProvider(files, id, o))
	var all []Result
	var errs []error
	for _, file := range files {
		results, err := judge(file.Data, kinds, id, o)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file.Name, err))
		}
		for _, r := range results {
			r.File = file.Name
			all = append(all, whole(r))
		}
	}
	return all, errors.Join(errs...)
}

// kinds lists how to judge each kind of document. A provider and the policies of the same call are judged together.
func kinds(files []File, provider *providerJudgement) []judgeFunc {
	return []judgeFunc{
		awsRoles,
		awsProvider,
		func(data []byte, id Identity, o Options) ([]Result, bool, error) {
			p, ok, err := gcpProvider(data, id, o)
			if !ok || err != nil {
				return nil, ok, err
			}
			for _, file := range files {
				p.bind(file.Data)
			}
			return []Result{p.Result}, true, nil
		},
		func(data []byte, id Identity, o Options) ([]Result, bool, error) {
			r, ok, err := gcpPolicy(data, provider, id, o)
			return []Result{r}, ok, err
		},
		func(data []byte, id Identity, o Options) ([]Result, bool, error) {
			r, ok, err := vaultRole(data, id, o)
			return []Result{r}, ok, err
		},
	}
}

func judge(data []byte, kinds []judgeFunc, id Identity, o Options) ([]Result, error) {
	if _, err := parseDocument(data); err != nil {
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
func soleProvider(files []File, id Identity, o Options) *providerJudgement {
	var found []providerJudgement
	for _, file := range files {
		if _, err := parseDocument(file.Data); err != nil {
			continue
		}
		if p, ok, err := gcpProvider(file.Data, id, o); ok && err == nil {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return &found[0]
}

// whole gives empty lists in place of none: the output promises lists.
func whole(r Result) Result {
	r.Steps, r.Findings = list(r.Steps), list(r.Findings)
	for i := range r.Steps {
		r.Steps[i].Conditions = list(r.Steps[i].Conditions)
		for j := range r.Steps[i].Conditions {
			c := &r.Steps[i].Conditions[j]
			c.Expected, c.Actual = list(c.Expected), list(c.Actual)
		}
	}
	return r
}

func list[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}
