package iam

import "bitbucket-oidc/internal/finding"

// A check is a rule and the method that finds it. Both are in the rule's own file, rule_NAME.go for the rule aws-NAME, and the cases
// of the rule are in testdata/aws-NAME.txtar.
type check struct {
	rule func() finding.Rule
	find func(*roleJudgement)
}

// checks are the rules of this package, in the order of the documentation. A judgement makes its findings in the same order.
func checks() []check {
	return []check{
		{subMissing, (*roleJudgement).findSubMissing},
		{subWildcard, (*roleJudgement).findSubWildcard},
		{subBoundary, (*roleJudgement).findSubBoundary},
		{subBraces, (*roleJudgement).findSubBraces},
		{subShape, (*roleJudgement).findSubShape},
		{subPinsStep, (*roleJudgement).findSubPinsStep},
		{equalsWildcard, (*roleJudgement).findEqualsWildcard},
		{uuidCase, (*roleJudgement).findUUIDCase},
		{repositoryWide, (*roleJudgement).findRepositoryWide},
		{audMissing, (*roleJudgement).findAudMissing},
		{audMismatch, (*roleJudgement).findAudMismatch},
		{audMultivalued, (*roleJudgement).findAudMultivalued},
		{forAllValuesOpen, (*roleJudgement).findForAllValues},
		{failsOpen, (*roleJudgement).findFailsOpen},
		{claimUnavailable, (*roleJudgement).findClaimUnavailable},
		{keyPrefix, (*roleJudgement).findKeyPrefix},
		{principalWrong, (*roleJudgement).findPrincipal},
		{actionWrong, (*roleJudgement).findAction},
		{sourceIPOnly, (*roleJudgement).findSourceIPOnly},
		{policyTooLong, (*roleJudgement).findPolicyTooLong},
		{sessionTooLong, (*roleJudgement).findSessionTooLong},
		{admitsOthers, (*roleJudgement).findAdmitsOthers},
		{namesOthers, (*roleJudgement).findNamesOthers},
		{notJudged, (*roleJudgement).findNotJudged},
	}
}

// Rules are the rules of this package, in the order of the documentation.
func Rules() []finding.Rule {
	var all []finding.Rule
	for _, c := range checks() {
		all = append(all, c.rule())
	}
	return all
}
