package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
)

// canBeSubject reports whether the pattern matches any subject.
func (p pattern) canBeSubject() bool { return p.canBeSubjectOf(bitbucket.UUIDForm) }

// canBeSubjectOf reports whether the pattern matches a subject of a repository: {repository}:{step}, or on a deployment step
// {repository}:{environment}:{step}. Digits may be upper or lower case.
// Source: Atlassian, "Integrate Pipelines with resource servers using OIDC".
func (p pattern) canBeSubjectOf(repository string) bool {
	return slices.ContainsFunc([]string{":" + bitbucket.UUIDForm, ":" + bitbucket.UUIDForm + ":" + bitbucket.UUIDForm}, func(rest string) bool {
		form := repository + rest
		return p.fits(len(form), func(i int, r rune) bool {
			if form[i] == 'x' {
				return strings.ContainsRune("0123456789abcdefABCDEF", r)
			}
			return r == rune(form[i])
		})
	})
}

// matchesAnyRepository reports whether the pattern matches subjects of every repository, perhaps only of some environments or steps. It tries
// UUIDs with different digits at every place, except the digits that make them UUIDs of version 4. A pattern with a whole UUID is for
// one repository or for its environment.
func (p pattern) matchesAnyRepository() bool {
	if len(bitbucket.UUIDs(p.text())) > 0 {
		return false
	}
	return !slices.ContainsFunc([]string{
		"{01234567-89ab-4cde-8f01-23456789abcd}", "{fedcba98-7654-4321-9fed-cba987654321}", "{76543210-fedc-4ba9-ba98-76543210fedc}",
	}, func(repository string) bool { return !p.canBeSubjectOf(repository) })
}

// matchesWholeRepository reports whether the pattern matches steps of the repository on deployments and off.
func (p pattern) matchesWholeRepository(repository string) bool {
	const other = ":{2b3c4d5e-6f70-4182-93a4-b5c6d7e8f901}"
	return p.matches(repository+other) && p.matches(repository+other+other)
}
