package iam

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

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

// principalRules look for principals that never are, or that are too many.
func (j *roleJudgement) principalRules(s judgedStatement) {
	path := s.path + ".Principal"
	j.worldRule(s)
	for _, name := range s.principals.federated {
		if p, ok := parseProviderARN(name); ok && p.path == j.request.issuer && !j.role.canTrust(p) {
			j.Find(finding.Error, "aws-principal", path, fmt.Sprintf("%.300q is no identity provider of the role's own account, and IAM takes no other.", name), j.principalFix())
		}
	}
}

// missingPrincipalRule applies where no Allow statement is about the token's provider and nothing else says why.
func (j *roleJudgement) missingPrincipalRule() {
	path := "Statement"
	for _, s := range j.statements {
		if s.effect != "Allow" {
			continue
		}
		if s.named {
			return
		}
		if len(s.principals.federated) > 0 && path == "Statement" {
			path = s.path + ".Principal"
		}
	}
	if !j.Found("aws-principal") {
		j.Find(finding.Error, "aws-principal", path, "No Allow statement names the identity provider of the token's issuer.", j.principalFix())
	}
}

// actionRules look for statements that are about other actions, or about all.
func (j *roleJudgement) actionRules(s judgedStatement) {
	path := s.path + ".Action"
	switch {
	case s.notAction && (s.effect == "Allow" || s.covers == trust.No):
		j.Find(finding.Error, "aws-action", s.path+".NotAction", "NotAction leaves open which actions the statement is about.", actionFix())
	case s.covers == trust.No:
		j.Find(finding.Error, "aws-action", path, "The statement is not about sts:AssumeRoleWithWebIdentity.", actionFix())
	case s.effect == "Allow":
		for _, action := range s.actions {
			if lower := strings.ToLower(action); lower == "*" || lower == "sts:*" {
				j.Find(finding.Warning, "aws-action", path, fmt.Sprintf("%q allows more than sts:AssumeRoleWithWebIdentity.", action), actionFix())
			}
		}
	}
}

// A claimKey is a condition key that is meant to be a claim of the token.
type claimKey struct{ prefix, claim string }

// parseClaimKey reads a key in lower case. Keys of AWS itself and of its services are none.
func (j *roleJudgement) parseClaimKey(lower string) (claimKey, bool) {
	prefix, claim, _ := bitbucket.CutLast(lower)
	k := claimKey{prefix, claim}
	for _, service := range []string{"aws:", "sts:", "iam:"} {
		if strings.HasPrefix(lower, service) {
			return k, false
		}
	}
	host, _, _ := strings.Cut(j.request.issuer, "/")
	return k, strings.ContainsAny(prefix, "./") || strings.Contains(lower, strings.ToLower(host)) ||
		claim == "sub" || claim == "aud" || prefix == "" && j.isTokenClaim(claim)
}

// isTokenClaim reports whether the token has a claim, named in lower case.
func (j *roleJudgement) isTokenClaim(lower string) bool {
	for name := range j.id.All {
		if strings.ToLower(name) == lower {
			return true
		}
	}
	return false
}

// keyRules look for keys that no request has. A key may be of any provider that the statement names.
func (j *roleJudgement) keyRules(s judgedStatement) {
	issuers := []string{strings.ToLower(j.request.issuer)}
	for _, name := range s.principals.federated {
		if p, ok := parseProviderARN(name); ok {
			name = p.path
		}
		issuers = append(issuers, strings.ToLower(name)) // AWS's own partners have no ARN
	}
	for _, c := range s.conditions {
		k, ok := j.parseClaimKey(c.lower)
		if !ok {
			continue
		}
		known := slices.Contains(issuers, k.prefix)
		if !known {
			j.Find(finding.Error, "aws-key-prefix", c.path, fmt.Sprintf("The key %.200q is not the issuer without https://, a colon and a claim, so that no request has it.", c.key), j.claimFix(c.condition))
		}
		if k.claim != "sub" && k.claim != "aud" && (known || j.isTokenClaim(k.claim)) {
			j.Find(finding.Error, "aws-claim-unavailable", c.path, fmt.Sprintf("AWS does not read the claim of %.200q from Bitbucket's tokens, only sub and aud.", c.key), j.subjectFix(c.negated))
		}
	}
}

// valueRules look at each value on its own. Under Deny only those apply that mean: never matches.
func (j *roleJudgement) valueRules(s judgedStatement) {
	for _, c := range s.conditions {
		for _, value := range c.values {
			if c.literal && wildcards(value).wild() && !c.meets(value) && !strings.Contains(value, "${") {
				j.Find(finding.Error, "aws-equals-wildcard", c.path, fmt.Sprintf("%s takes the * or ? in %.200q literally.", c.name, value), likeFix(c.condition, value))
			}
			switch c.lower {
			case j.key("sub"):
				j.subjectRules(s.effect, c, value)
			case j.key("aud"):
				j.audienceRule(c, value)
			}
		}
	}
}

// key is the condition key of a claim, in lower case.
func (j *roleJudgement) key(claim string) string {
	return strings.ToLower(j.request.issuer) + ":" + claim
}

// meets reports whether a value is one of the request's as it stands.
func (c judgedCondition) meets(value string) bool { return slices.Contains(c.actual, value) }

// subjectRules look at a value for the subject. Operators that do not compare strings are left to the steps.
func (j *roleJudgement) subjectRules(effect string, c judgedCondition, value string) {
	if !c.variable {
		return
	}
	p, state := j.request.expand(value, true, j.role.policy.variables)
	switch state {
	case trust.Unknown:
		return
	case trust.No:
		p = nil // a variable without a value: nothing matches
	}
	faults := neverMatches(value, p, c.operator, j.id.Claims)
	if len(faults) == 0 && effect == "Allow" && !c.negated {
		faults = j.letsInTooMuch(c.condition, value, p)
	}
	for _, f := range faults {
		j.Find(f.severity, f.rule, c.path, fmt.Sprintf("%.200q %s.", value, f.message), j.subjectFix(c.negated))
	}
}

// letsInTooMuch finds what a value for the subject lets in beyond one environment of one repository.
func (j *roleJudgement) letsInTooMuch(c condition, value string, p pattern) []subjectFault {
	switch {
	case j.isItself(c, value):
		return []subjectFault{{"aws-sub-wildcard", finding.Error, "stands for whatever subject the token has, so that every repository of the workspace gets in"}}
	case c.like:
		return matchesTooMuch(value, p)
	}
	return nil
}

// isItself reports whether a value has a policy variable for the very key that it is compared with.
func (j *roleJudgement) isItself(c condition, value string) bool {
	if !c.variable || !j.role.policy.variables {
		return false
	}
	for _, after, found := strings.Cut(value, "${"); found; _, after, found = strings.Cut(after, "${") {
		if name, _, closed := strings.Cut(after, "}"); closed && variableKey(name) == c.lower {
			return true
		}
	}
	return false
}

// audienceRule looks at a value for the audience. Only what cannot be a custom audience is judged: another step may ask for
// any of those.
func (j *roleJudgement) audienceRule(c judgedCondition, value string) {
	if !c.variable || !isNeverCustom(value) {
		return
	}
	p := wildcards(value)
	folded := slices.ContainsFunc(j.id.Claims.Audience, p.matchesAnyCase)
	switch {
	case slices.ContainsFunc(j.id.Claims.Audience, p.matches), folded && c.anyCase:
	case folded:
		j.Find(finding.Error, "aws-uuid-case", c.path, fmt.Sprintf("%.200q has a UUID whose upper and lower case differs from the token's, and the operator is case-sensitive.", value), j.audienceFix(c.negated))
	default:
		j.Find(finding.Error, "aws-aud-mismatch", c.path, fmt.Sprintf("No token of this workspace has the audience %.200q.", value), j.audienceFix(c.negated))
	}
}

// isNeverCustom reports whether a value is AWS's own audience or means to be a workspace's.
func isNeverCustom(audience string) bool {
	lower := strings.ToLower(audience)
	return lower == "sts.amazonaws.com" || strings.HasPrefix(lower, "ari:cloud:bitbucket:")
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
