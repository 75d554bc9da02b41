package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/oidc"
)

// canBeSubject reports whether there is a subject that the pattern matches.
func (p pattern) canBeSubject() bool { return p.canBeSubjectOf(bitbucket.UUIDForm) }

// canBeSubjectOf reports whether there is a subject of a repository that the pattern matches: {repository}:{step}, or on a
// deployment step {repository}:{environment}:{step}. Digits may be of any case.
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

// matchesAnyRepository reports whether the pattern matches subjects of whatever repository, if only of some environments or
// steps; tried with UUIDs that have no digit in common beyond those that make them UUIDs of version 4. A whole UUID in the
// pattern is of one repository or of its environment.
func (p pattern) matchesAnyRepository() bool {
	if len(bitbucket.UUIDs(p.text())) > 0 {
		return false
	}
	return !slices.ContainsFunc([]string{
		"{01234567-89ab-4cde-8f01-23456789abcd}", "{fedcba98-7654-4321-9fed-cba987654321}", "{76543210-fedc-4ba9-ba98-76543210fedc}",
	}, func(repository string) bool { return !p.canBeSubjectOf(repository) })
}

// matchesWholeRepository reports whether the pattern matches steps of the repository both on and off deployments.
func (p pattern) matchesWholeRepository(repository string) bool {
	const other = ":{2b3c4d5e-6f70-4182-93a4-b5c6d7e8f901}"
	return p.matches(repository+other) && p.matches(repository+other+other)
}

// subjectLacksBraces reports whether a text has a UUID that does not stand in exactly one pair of braces. A wildcard beside it can be
// its brace.
func subjectLacksBraces(s string) bool {
	return slices.ContainsFunc(bitbucket.UUIDs(s), func(u bitbucket.Span) bool {
		before, after := s[:u.Start], s[u.End:]
		opens := strings.HasSuffix(before, "{") && !strings.HasSuffix(before, "{{") && !strings.HasSuffix(before, "${")
		closes := strings.HasPrefix(after, "}") && !strings.HasPrefix(after, "}}")
		return !opens && !endsWild(before) || !closes && !beginsWild(after)
	})
}

func endsWild(s string) bool { return s != "" && strings.ContainsRune("*?", rune(s[len(s)-1])) }

func beginsWild(s string) bool { return s != "" && strings.ContainsRune("*?", rune(s[0])) }

// hasForeignCase reports whether a text has a UUID in another case than the subject's or, where the subject is in small letters
// throughout, as Bitbucket writes it, in any other case.
func hasForeignCase(s, subject string) bool {
	small := subject == strings.ToLower(subject)
	return slices.ContainsFunc(bitbucket.UUIDs(s), func(u bitbucket.Span) bool {
		uuid := s[u.Start:u.End]
		if strings.Contains(subject, uuid) {
			return false
		}
		return small && uuid != strings.ToLower(uuid) || strings.Contains(strings.ToLower(subject), strings.ToLower(uuid))
	})
}

// isMisplaced reports whether a subject's pattern has a UUID where Bitbucket never puts it: the workspace's or the pipeline's
// anywhere, the repository's behind a colon, the environment's at either end.
func isMisplaced(s string, c oidc.Claims) bool {
	parts := strings.Split(strings.ToLower(s), ":")
	is := func(part, uuid string) bool {
		return uuid != "" && part == "{"+strings.ToLower(strings.Trim(uuid, "{}"))+"}"
	}
	for i, part := range parts {
		first, last := i == 0, i == len(parts)-1
		switch {
		case is(part, bitbucket.WorkspaceUUID(c)), is(part, c.PipelineUUID),
			!first && is(part, c.Repository()),
			(first || last) && is(part, c.Environment()):
			return true
		}
	}
	return false
}

// A subjectFault is what is wrong with a value for :sub.
type subjectFault struct {
	rule     string
	severity finding.Severity
	message  string // goes on a quoted value
}

func subBraces() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-braces", Severity: finding.Error,
		Finds: "a UUID without its braces in `:sub`",
		Why:   "The UUIDs in Bitbucket's subject stand in braces, which are part of the value. A value without them never matches. Only the UUID in the audience has none.",
		Fix:   "Put the UUID in braces: `{2e9e429c-…}`. In Terraform `{` needs no escape, `${` does.",
	}
}

func subShape() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-shape", Severity: finding.Error,
		Finds: "a `:sub` value in a form that Bitbucket's subjects never have",
		Why:   "The subject is `{repository}:{step}`, or `{repository}:{environment}:{step}` on a deployment step, and nothing else: no workspace, no branch, no name of an environment. `repo:org/name` is the form of GitHub.",
		Fix:   "Write `{repository}:*` or `{repository}:{environment}:*`, with UUIDs.",
	}
}

func subPinsStep() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-pins-step", Severity: finding.Error,
		Finds: "a whole subject with the step's UUID",
		Why:   "Every step run has a new UUID. Such a value works in the step that it was copied from, and never again.",
		Fix:   "Replace the last UUID by `*`, under StringLike.",
	}
}

func uuidCase() finding.Rule {
	return finding.Rule{
		Name: "aws-uuid-case", Severity: finding.Error,
		Finds: "a UUID whose upper and lower case differs from the token's, under a case-sensitive operator",
		Why:   "AWS compares these values case-sensitively, and Bitbucket writes UUIDs in lower case.",
		Fix:   "Write the UUID in lower case.",
	}
}

// neverMatches finds why a value matches no step's subject, or none but one step's.
func neverMatches(value string, p pattern, op operator, c oidc.Claims) []subjectFault {
	if subjectLacksBraces(value) {
		return []subjectFault{{"aws-sub-braces", finding.Error, "has a UUID without its braces, and Bitbucket's subject has every UUID in braces"}}
	}
	var faults []subjectFault
	if !op.anyCase && hasForeignCase(value, c.Subject) {
		faults = append(faults, subjectFault{"aws-uuid-case", finding.Error, "has a UUID whose upper and lower case differs from the token's, and the operator is case-sensitive"})
	}
	_, last, _ := bitbucket.CutLast(value)
	switch {
	case !p.canBeSubject() || isMisplaced(value, c):
		faults = append(faults, subjectFault{"aws-sub-shape", finding.Error, "never matches: Bitbucket's subject is {repository}:{step} or {repository}:{environment}:{step}"})
	case bitbucket.IsBraced(strings.TrimLeft(last, "*?")):
		faults = append(faults, subjectFault{"aws-sub-pins-step", finding.Error, "ends in a step's UUID, which is new in every step run: it matches once and never again"})
	}
	return faults
}

func subBoundary() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-boundary", Severity: finding.Error,
		Finds: "a `:sub` pattern with a wildcard inside or directly after the repository's UUID",
		Why:   "Without the colon the pattern ends in the middle of a part. A shortened UUID matches every repository whose UUID begins with the same characters.",
		Fix:   "Write the whole UUID, its closing brace and a colon before the `*`.",
	}
}

func repositoryWide() finding.Rule {
	return finding.Rule{
		Name: "aws-repository-wide", Severity: finding.Note,
		Finds: "`{repository}:*`, which lets in the whole repository",
		Why:   "`*` also matches colons: every branch, every pull request and every deployment environment of the repository matches. Everybody who may push a branch has the role. AWS sees no branch; a deployment environment is the only narrower scope.",
		Fix:   "If the role is for a deployment, write `{repository}:{environment}:*`.",
	}
}

// matchesTooMuch finds what a pattern with wildcards lets in beyond one environment of one repository.
func matchesTooMuch(value string, p pattern) []subjectFault {
	first, _, _ := strings.Cut(value, ":")
	begins := strings.TrimLeft(first, "*")
	switch {
	case p.matchesAnyRepository():
		return []subjectFault{{"aws-sub-wildcard", finding.Error, "matches steps of every repository of the workspace"}}
	case strings.ContainsAny(begins, "*?"):
		return []subjectFault{{"aws-sub-boundary", finding.Error, "has its wildcard inside or right behind the repository's UUID, with no colon between them"}}
	case bitbucket.IsBraced(first) && p.matchesWholeRepository(first):
		return []subjectFault{{"aws-repository-wide", finding.Note, "lets in every branch, pull request and deployment environment of the repository"}}
	}
	return nil
}
