package iam

import (
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func subShape() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-shape", Severity: finding.Error,
		Finds: "a `:sub` value in a form that Bitbucket's subjects never have",
		Why:   "The subject is `{repository}:{step}`, or `{repository}:{environment}:{step}` on a deployment step, and nothing else: no workspace, no branch, no name of an environment. `repo:org/name` is the form of GitHub.",
		Fix:   "Write `{repository}:*` or `{repository}:{environment}:*`, with UUIDs.",
	}
}

func (j *roleJudgement) findSubShape() {
	j.findSubject(finding.Error, "aws-sub-shape", "never matches: Bitbucket's subject is {repository}:{step} or {repository}:{environment}:{step}", subjectValue.hasOtherShape)
}

// hasOtherShape reports whether no subject looks like the value. Missing braces have a rule of their own.
func (v subjectValue) hasOtherShape() bool {
	return !v.braceless && (!v.pattern.canBeSubject() || v.hasMisplacedUUID())
}

// hasMisplacedUUID reports whether the value has a UUID of the token where Bitbucket never puts it: the UUID of the workspace or the
// pipeline anywhere, of the repository after a colon, of the environment at either end.
func (v subjectValue) hasMisplacedUUID() bool {
	parts := strings.Split(strings.ToLower(v.text), ":")
	is := func(part, uuid string) bool {
		return uuid != "" && part == "{"+strings.ToLower(strings.Trim(uuid, "{}"))+"}"
	}
	for i, part := range parts {
		first, last := i == 0, i == len(parts)-1
		switch {
		case is(part, bitbucket.WorkspaceUUID(*v.claims)), is(part, v.claims.PipelineUUID),
			!first && is(part, v.claims.Repository()),
			(first || last) && is(part, v.claims.Environment()):
			return true
		}
	}
	return false
}
