package iam

import (
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func subPinsStep() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-pins-step", Severity: finding.Error,
		Finds: "a whole subject with the step's UUID",
		Why:   "Every step run has a new UUID. Such a value works in the step that it was copied from, and never again.",
		Fix:   "Replace the last UUID by `*`, under StringLike.",
	}
}

func (j *roleJudgement) findSubPinsStep() {
	j.findSubject(finding.Error, "aws-sub-pins-step", "ends in a step's UUID, which is new in every step run: it matches once and never again", subjectValue.pinsStep)
}

// pinsStep reports whether the value ends in the UUID of a step.
func (v subjectValue) pinsStep() bool {
	_, last, _ := bitbucket.CutLast(v.text)
	return !v.braceless && bitbucket.IsBraced(strings.TrimLeft(last, "*?")) && !v.hasOtherShape()
}
