package iam

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func repositoryWide() finding.Rule {
	return finding.Rule{
		Name: "aws-repository-wide", Severity: finding.Note,
		Finds: "`{repository}:*`, which lets in the whole repository",
		Why:   "`*` also matches colons: every branch, every pull request and every deployment environment of the repository matches. Everybody who may push a branch has the role. AWS sees no branch; a deployment environment is the only narrower scope.",
		Fix:   "If the role is for a deployment, write `{repository}:{environment}:*`.",
	}
}

// findRepositoryWide finds values for the whole repository or, without such a value, other steps of the repository that get in. They are
// an error if the policy names the environment of the identity and does not mean the whole repository.
func (j *roleJudgement) findRepositoryWide() {
	j.findSubject(finding.Note, "aws-repository-wide", "lets in every branch, pull request and deployment environment of the repository", subjectValue.wholeRepository)
	if j.others == nil || len(j.others.foreign) > 0 {
		return
	}
	repository, environment := j.id.Claims.Repository(), j.id.Claims.Environment()
	if !bitbucket.IsBraced(repository) || strings.ToLower(repository) != repository {
		return
	}
	rest := j.restOfRepository(repository, environment)
	in := admitted(slices.Concat(rest, j.otherEnvironments(repository, environment)))
	if len(in) == 0 {
		return
	}
	severity, message := finding.Note, "Other steps of the repository get in too%s."
	around := environment != "" && len(admitted(rest)) > 0 && j.namesEnvironment("", environment)
	switch whole := !slices.ContainsFunc(rest, func(c trust.Cell) bool { return !c.Reach.All }); {
	case around && !j.meansRepository(repository, environment, whole):
		severity, message = finding.Error, "The policy names the environment "+environment+", and other steps of the repository still get in%s."
	case j.Found("aws-repository-wide"):
		return
	}
	j.FindWith(in[0].Reach.Witness, severity, "aws-repository-wide", j.letIn(in[0]), fmt.Sprintf(message, trust.SuchAs(in[0])), j.subjectFix(false))
}

// wholeRepository reports whether the value is for all steps of one repository.
func (v subjectValue) wholeRepository() bool {
	return v.admits && v.condition.like && !v.everyRepository() && !v.openUUID() &&
		bitbucket.IsBraced(v.beginning()) && v.pattern.matchesWholeRepository(v.beginning())
}

// restOfRepository are the steps of the repository that the policy has no environment for: off deployments, unless the identity is
// there too, and on deployments to any environment that the policy does not name.
func (j *roleJudgement) restOfRepository(repository, environment string) []trust.Cell {
	deployments := j.others.reach.decide(repository, "", true)
	if environment == "" {
		return []trust.Cell{deployments}
	}
	return []trust.Cell{j.others.reach.decide(repository, "", false), deployments}
}

// otherEnvironments are the deployments of the repository to environments that the policy names, other than the identity's.
func (j *roleJudgement) otherEnvironments(repository, environment string) []trust.Cell {
	var all []trust.Cell
	for _, e := range j.others.environments {
		if e.environment != environment && (e.repository == "" || e.repository == repository) {
			all = append(all, j.others.reach.decide(repository, e.environment, true))
		}
	}
	return all
}

// namesEnvironment reports whether a condition on the subject has the environment's UUID, in a statement with the effect, or in any.
func (j *roleJudgement) namesEnvironment(effect, environment string) bool {
	return slices.ContainsFunc(j.statements, func(s judgedStatement) bool {
		return (effect == "" || s.effect == effect) && s.names != trust.No && slices.ContainsFunc(s.conditions, func(c judgedCondition) bool {
			return c.lower == j.key("sub") && c.names(environment)
		})
	})
}

func (c condition) names(uuid string) bool {
	return slices.ContainsFunc(c.values, func(v string) bool { return strings.Contains(strings.ToLower(v), strings.Trim(uuid, "{}")) })
}

// meansRepository reports whether the policy means to let in the whole repository: it lets all of it in with any audiences, or a
// statement has a value {repository}:* that no other condition and no Deny restricts to the environment.
func (j *roleJudgement) meansRepository(repository, environment string, whole bool) bool {
	if whole && j.others.reach.letsInAll(repository) {
		return true
	}
	if j.namesEnvironment("Deny", environment) {
		return false
	}
	for s := range j.grants() {
		if s.covers == trust.Yes && j.grantsRepository(s, repository, environment) {
			return true
		}
	}
	return false
}

// letsInAll reports whether the whole repository also gets in without asking for more audiences. With more audiences it does.
func (a *policyReach) letsInAll(repository string) bool {
	if a.usual == len(a.readings) {
		return true
	}
	usual := *a
	usual.readings = a.readings[:a.usual]
	return usual.decide(repository, "", false).Reach.All && usual.decide(repository, "", true).Reach.All
}

// grantsRepository reports whether a statement has a value for the whole repository, and no other condition with the environment.
func (j *roleJudgement) grantsRepository(s *judgedStatement, repository, environment string) bool {
	for i, c := range s.conditions {
		whole := c.lower == j.key("sub") && c.like && !c.negated && slices.ContainsFunc(c.values, func(v string) bool {
			return wildcards(v).matchesWholeRepository(repository)
		})
		others := slices.Delete(slices.Clone(s.conditions), i, i+1)
		if whole && !slices.ContainsFunc(others, func(o judgedCondition) bool { return o.names(environment) }) {
			return true
		}
	}
	return false
}
