// Package judge lists the kinds of documents that can be judged. It reads files once and judges them for any number of identities.
package judge

import (
	"errors"
	"fmt"
	"slices"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/collect"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/iam"
	"bitbucket-oidc/internal/trust/vaultrole"
	"bitbucket-oidc/internal/trust/wif"
)

// Rules lists every rule, in the order of the documentation.
func Rules() []finding.Rule {
	return slices.Concat(iam.Rules(), wif.Rules(), vaultrole.Rules())
}

// Documents are the documents of files, in the order of the files.
type Documents []trust.Document

// Read reads files. It returns an error for each file that is not a document of a known kind, joined, and each error names its file. A
// Google provider and the policies of the same call are judged together.
func Read(files []trust.File) (Documents, error) {
	var all Documents
	var pools []collect.Document
	var controls []iam.Control
	var mounts []*document.Node
	var errs []error
	for _, file := range files {
		collected, err := collect.Files(collect.File{Name: file.Name, Data: file.Data, Target: file.Target})
		var documents []trust.Document
		for _, d := range collected {
			var some []trust.Document
			if some, err = Of(d); err != nil {
				break
			}
			documents = append(documents, some...)
			if d.Kind == collect.Pool {
				pools = append(pools, d)
			}
			if d.Kind == collect.Mount {
				mounts = append(mounts, d.Root)
			}
			if d.Kind == collect.Control {
				var c iam.Control
				if c, err = iam.ReadControl(d.File); err != nil {
					break
				}
				controls = append(controls, c)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file.Name, err))
		}
		all = append(all, documents...)
	}
	all.relate(pools)
	all.under(controls)
	errs = append(errs, all.inMounts(mounts))
	return all, errors.Join(errs...)
}

// Of returns the documents in a collected document: the roles of a list, or one document of the first kind that fits. A document that only
// adds to others, such as a resource control policy, has none.
func Of(d collect.Document) ([]trust.Document, error) {
	switch {
	case d.Unknown != "":
		return []trust.Document{&unknown{trust.Source{In: d.File, Inner: d.Root, Of: d.Target}, trust.Kind(d.Kind), d.Unknown}}, nil
	case d.Kind != "":
		return nil, nil
	}
	for _, kind := range kinds() {
		documents, ok, err := kind(d.File)
		if !ok && err == nil {
			continue
		}
		for _, one := range documents {
			if c, ok := one.(interface{ Call(string) }); ok && d.Target != "" {
				c.Call(d.Target)
			}
		}
		return documents, err
	}
	return nil, errors.New("it is not a document of a known kind")
}

// Beside reports whether a file only adds to the other documents of the call and has no verdict of its own.
func Beside(file trust.File) bool {
	collected, err := collect.Files(collect.File{Name: file.Name, Data: file.Data})
	return err == nil && len(collected) > 0 && !slices.ContainsFunc(collected, func(d collect.Document) bool { return d.Kind == "" })
}

// A reader reads the documents of its kind. It returns false if the file is of another kind.
type reader func(f *document.File) ([]trust.Document, bool, error)

// kinds lists the readers, one for each kind of document.
func kinds() []reader {
	return []reader{
		func(f *document.File) ([]trust.Document, bool, error) {
			roles, ok, err := iam.Read(f)
			documents := make([]trust.Document, len(roles))
			for i, role := range roles {
				documents[i] = role
			}
			return documents, ok, err
		},
		func(f *document.File) ([]trust.Document, bool, error) {
			p, ok := iam.ReadProvider(f)
			return one(p, ok, nil)
		},
		func(f *document.File) ([]trust.Document, bool, error) { return one(wif.ReadProvider(f)) },
		func(f *document.File) ([]trust.Document, bool, error) { return one(wif.ReadPolicy(f)) },
		func(f *document.File) ([]trust.Document, bool, error) { return one(vaultrole.Read(f)) },
	}
}

func one[D trust.Document](d D, ok bool, err error) ([]trust.Document, bool, error) {
	if !ok || err != nil {
		return nil, ok, err
	}
	return []trust.Document{d}, true, nil
}

// relate connects providers with the policies and the pools of the same call. A policy is judged through a provider only if there is
// exactly one: otherwise the files do not say which provider the step uses. A pool that is disabled or deleted closes its providers.
func (all Documents) relate(pools []collect.Document) {
	var providers []*wif.Provider
	var policies []*wif.Policy
	for _, d := range all {
		switch d := d.(type) {
		case *wif.Provider:
			d.InPool(collect.Closed(pools, d.ID()))
			providers = append(providers, d)
		case *wif.Policy:
			policies = append(policies, d)
		}
	}
	for _, provider := range providers {
		provider.Beside(policies)
	}
	if len(providers) == 1 {
		for _, policy := range policies {
			policy.Through(providers[0])
		}
	}
}

// under applies resource control policies to every role: the files do not say which account a policy is attached to.
func (all Documents) under(controls []iam.Control) {
	for _, d := range all {
		if role, ok := d.(*iam.Role); ok {
			role.Under(controls)
		}
	}
}

// inMounts puts every role of Vault under the configurations of JWT auth methods.
func (all Documents) inMounts(mounts []*document.Node) error {
	for _, d := range all {
		if role, ok := d.(*vaultrole.Role); ok {
			if err := role.Under(mounts); err != nil {
				return err
			}
		}
	}
	return nil
}

// Judge judges each document that concerns the identity.
func (all Documents) Judge(id bitbucket.Identity, o trust.Options) []trust.Result {
	var results []trust.Result
	for _, d := range all {
		if l, ok := d.(interface {
			Concerns(bitbucket.Identity) bool
		}); !ok || l.Concerns(id) {
			results = append(results, d.Judge(id, o))
		}
	}
	return results
}

// Judge reads files and judges them once. See [Read].
func Judge(files []trust.File, id bitbucket.Identity, o trust.Options) ([]trust.Result, error) {
	documents, err := Read(files)
	if err != nil {
		return nil, err
	}
	return documents.Judge(id, o), nil
}
