package iam

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// Rules are the rules of this package, in the order of the documentation. The text of each stands beside what finds it.
func Rules() []finding.Rule {
	return []finding.Rule{
		subMissing(), subWildcard(), subBoundary(), subBraces(), subShape(), subPinsStep(), equalsWildcard(), uuidCase(), repositoryWide(),
		audMissing(), audMismatch(), audMultivalued(), allValues(), failsOpen(), claimUnavailable(), keyPrefix(), principalWrong(),
		actionWrong(), sourceIPOnly(), policyTooLong(), sessionTooLong(), admitsOthers(), namesOthers(), notJudged(),
	}
}

func policyTooLong() finding.Rule {
	return finding.Rule{
		Name: "aws-policy-too-long", Severity: finding.Error, Milder: finding.Warning,
		Finds: "a trust policy that is longer than IAM stores",
		Why:   "IAM stores at most 4096 characters, without white space, and 2048 until the quota is raised: between the two limits the finding is a warning.",
		Fix:   "Use a role for each repository, or fewer values.",
	}
}

// applyRules looks for everything in a role's policy that docs/rules.md has a page on.
func (j *roleJudgement) applyRules() {
	for _, r := range j.role.policy.refusals {
		if r.rule != "" {
			j.Find(finding.Error, r.rule, r.path, "AWS would not store this policy: "+r.why+".", j.refusalFix(r))
		}
	}
	if size := j.role.policy.size; size > defaultPolicy && size <= longestPolicy {
		j.Find(finding.Warning, "aws-policy-too-long", "", fmt.Sprintf("The policy has %d characters, more than the %d of the default quota.", size, defaultPolicy), j.statementFix())
	}
	j.sessionRule()
	for _, s := range j.statements {
		j.principalRules(s)
	}
	j.missingPrincipalRule()
	for _, s := range j.statements {
		if s.named {
			j.actionRules(s)
			j.keyRules(s)
		}
		if s.names == trust.Yes { // also a Deny for everyone
			j.valueRules(s)
		}
		if s.named && s.effect == "Allow" {
			j.guardRules(s)
		}
	}
}

func (j *roleJudgement) refusalFix(r refusal) finding.Fix {
	if strings.HasSuffix(r.path, "rincipal") {
		return j.principalFix()
	}
	return j.statementFix()
}

func sessionTooLong() finding.Rule {
	return finding.Rule{
		Name: "aws-session-too-long", Severity: finding.Warning,
		Finds: "a requested duration above the role's MaxSessionDuration",
		Why:   "AWS refuses the call when AWS_SESSION_DURATION is longer than the role allows. The default of a role is one hour.",
		Fix:   "Raise it with `aws iam update-role --max-session-duration`, or ask for less.",
	}
}

// sessionRule compares the duration that will be asked for with the one that the role allows.
func (j *roleJudgement) sessionRule() {
	limit, err := strconv.Atoi(j.role.maxSession)
	if err != nil || j.o.Duration <= time.Duration(limit)*time.Second {
		return
	}
	j.Find(finding.Warning, "aws-session-too-long", "MaxSessionDuration",
		fmt.Sprintf("A session of %s is longer than the %d seconds that the role allows.", j.o.Duration, limit),
		finding.Fix{Kind: finding.YAML, Text: fmt.Sprintf("AWS_SESSION_DURATION: %q", strconv.Itoa(limit))})
}

// key is the condition key of a claim, in lower case.
func (j *roleJudgement) key(claim string) string {
	return fold(j.request.issuer) + ":" + claim
}

// meets reports whether a value is one of the request's as it stands.
func (c judgedCondition) meets(value string) bool { return slices.Contains(c.actual, value) }

func subMissing() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-missing", Anyone: true, Severity: finding.Error,
		Finds: "an Allow statement without a condition on `:sub`",
		Why:   "The OIDC provider stands for the whole workspace. Without a condition on `:sub`, every step of every repository of the workspace may assume the role. IAM does not require the condition for an issuer that belongs to one workspace.",
		Fix:   "Add a StringLike condition on `:sub` with `{repository}:*`, or `{repository}:{environment}:*` for a deployment environment.",
	}
}

func audMissing() finding.Rule {
	return finding.Rule{
		Name: "aws-aud-missing", Severity: finding.Warning,
		Finds: "an Allow statement without a condition on `:aud`",
		Why:   "A token for another service is accepted too, if its audience is one of the provider's client ids.",
		Fix:   "Add a condition on `:aud` with the workspace's audience.",
	}
}

func sourceIPOnly() finding.Rule {
	return finding.Rule{
		Name: "aws-source-ip-only", Severity: finding.Warning,
		Finds: "an address range as the only condition",
		Why:   "All customers of Bitbucket share its addresses, and self-hosted runners have other addresses. An address is not an identity.",
		Fix:   "Add a condition on `:sub`.",
	}
}

// guardRules look for what an Allow leaves open.
func (j *roleJudgement) guardRules(s judgedStatement) {
	sub, aud := j.guardRule(s, "sub"), j.guardRule(s, "aud")
	failsOpen := sub == holdsWithout || aud == holdsWithout
	if sub == unguarded && !failsOpen && !j.misspelt(s, "sub") {
		j.Find(finding.Error, "aws-sub-missing", s.path, "No :sub condition guards the statement, so that every repository of the workspace gets in.", j.subjectFix(false))
	}
	if aud == unguarded && !j.misspelt(s, "aud") {
		j.Find(finding.Warning, "aws-aud-missing", s.path, "No :aud condition guards the statement, so that tokens for other services get in too.", j.audienceFix(false))
	}
	if sub == unguarded && aud == unguarded && onlyAddresses(s.conditions) {
		j.Find(finding.Warning, "aws-source-ip-only", s.conditions[0].path, "An address range is the only guard, and Bitbucket's addresses are shared by everyone.", j.subjectFix(false))
	}
}

// A guard is how well a condition, or the best of several, guards a statement.
type guard int

const (
	unguarded       guard = iota
	holdsWithout          // the condition holds for a missing claim or another
	holdsWithoutSet       // it is ForAllValues:, which has a rule of its own
	guarded
)

// guards tells how well a condition guards a claim; required says whether another condition makes sure that it is there.
func (j *roleJudgement) guards(c judgedCondition, claim string, required bool) guard {
	switch {
	case c.requiresKey():
		return unguarded
	case c.set == forAllValues && !required:
		return holdsWithoutSet
	case c.null || c.negated || c.ifExists && !required:
		return holdsWithout
	case claim == "aud" && slices.ContainsFunc(c.values, func(v string) bool { return matchesEverything(v) || j.isItself(c.condition, v) }):
		return unguarded // for a subject that has a rule of its own
	}
	return guarded
}

func audMultivalued() finding.Rule {
	return finding.Rule{
		Name: "aws-aud-multivalued", Severity: finding.Warning,
		Finds: "an operator without `ForAnyValue:` where the token has several audiences",
		Why:   "AWS does not document how an operator without a set prefix compares a claim that is a list.",
		Fix:   "Put `ForAnyValue:` before the operator: it also holds for a single value.",
	}
}

func allValues() finding.Rule {
	return finding.Rule{
		Name: "aws-forallvalues", Severity: finding.Error,
		Finds: "`ForAllValues:` on `:sub` or `:aud` under Allow",
		Why:   "ForAllValues holds when the key is missing: the condition lets in tokens without the claim.",
		Fix:   "Remove the prefix, or write `ForAnyValue:`.",
	}
}

func failsOpen() finding.Rule {
	return finding.Rule{
		Name: "aws-fails-open", Severity: finding.Error,
		Finds: "only `…IfExists`, `Null` or negated operators guard `:sub` or `:aud`",
		Why:   "These conditions hold when the key is missing, and a negated one holds for every other value. A misspelt key lets in everyone.",
		Fix:   "Say what the value must be, with StringLike or StringEquals.",
	}
}

// guardRule weighs the conditions on a claim.
func (j *roleJudgement) guardRule(s judgedStatement, claim string) guard {
	conditions := slices.DeleteFunc(slices.Clone(s.conditions), func(c judgedCondition) bool { return c.lower != j.key(claim) })
	required := slices.ContainsFunc(conditions, judgedCondition.requiresKey)
	fix := func() finding.Fix {
		if claim == "aud" {
			return j.audienceFix(false)
		}
		return j.subjectFix(false)
	}
	best, open := unguarded, ""
	for _, c := range conditions {
		if claim == "aud" && c.set != forAnyValue && !c.null && len(c.actual) > 1 {
			j.Find(finding.Warning, "aws-aud-multivalued", c.path, "The token has several audiences, and AWS compares those with ForAnyValue: only.", fix())
		}
		g := j.guards(c, claim, required)
		if g == holdsWithoutSet {
			j.Find(finding.Error, "aws-forallvalues", c.path, fmt.Sprintf("%s on :%s holds where the token has no such claim.", c.name, claim), fix())
		}
		if g == holdsWithout && open == "" {
			open = c.path
		}
		best = max(best, g)
	}
	if best <= holdsWithout && j.deniesOthers(claim) {
		return guarded
	}
	if best == holdsWithout {
		j.Find(finding.Error, "aws-fails-open", open, fmt.Sprintf("Only operators that hold for a missing or another claim are about :%s.", claim), fix())
	}
	return best
}

// requiresKey reports whether a condition asks for nothing but that the key is there.
func (c judgedCondition) requiresKey() bool {
	return c.null && c.set == single && slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, "false") }) &&
		!slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, "true") })
}

// matchesEverything reports whether a value is nothing but stars.
func matchesEverything(value string) bool { return value != "" && strings.Trim(value, "*") == "" }

// deniesOthers reports whether a Deny statement, also one of a resource control policy, guards a claim: it denies whoever has another
// one, on no other condition that could be false.
func (j *roleJudgement) deniesOthers(claim string) bool {
	return slices.ContainsFunc(slices.Concat(j.statements, j.denied), func(s judgedStatement) bool {
		if s.effect != "Deny" || s.names != trust.Yes || s.covers != trust.Yes {
			return false
		}
		guards := false
		for _, c := range s.conditions {
			own := c.lower == j.key(claim) && c.negated && c.variable
			if own && !slices.ContainsFunc(c.values, func(v string) bool { return j.spares(c.condition, claim, v) }) {
				guards = true
			} else if c.holds != trust.Yes {
				return false
			}
		}
		return guards
	})
}

// spares reports whether a value of a Deny that denies all others spares too many to be a guard.
func (j *roleJudgement) spares(c condition, claim, value string) bool {
	if claim == "aud" {
		return j.isItself(c, value) || c.like && matchesEverything(value)
	}
	p, state := j.request.expand(value, c.like, j.role.policy.variables)
	return state == trust.Yes && slices.ContainsFunc(j.letsInTooMuch(c, value, p), func(f subjectFault) bool { return f.severity == finding.Error })
}

// misspelt reports whether a statement has a condition on a claim under a key that no request has, so that it lets in nobody.
func (j *roleJudgement) misspelt(s judgedStatement, claim string) bool {
	return slices.ContainsFunc(s.conditions, func(c judgedCondition) bool {
		_, ok := j.parseClaimKey(c.lower)
		return ok && strings.HasSuffix(c.lower, claim) && c.lower != j.key(claim) && c.holds == trust.No
	})
}

// onlyAddresses reports whether conditions are there and all on the caller's address.
func onlyAddresses(conditions []judgedCondition) bool {
	return len(conditions) > 0 && !slices.ContainsFunc(conditions, func(c judgedCondition) bool {
		return c.lower != "aws:sourceip" && c.lower != "aws:vpcsourceip"
	})
}
