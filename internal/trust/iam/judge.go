// Package iam judges trust policies of IAM roles, and IAM's OIDC providers.
package iam

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// assumeAction is the action that a step's login calls, in lower case: names of actions have no case.
const assumeAction = "sts:assumerolewithwebidentity"

// trustsBitbucket reports whether a policy names a provider of Bitbucket's, of this workspace or another.
func (p policy) trustsBitbucket(id bitbucket.Identity) bool {
	host, _, _ := strings.Cut(setup.AWSProviderPath(id.Claims), "/")
	for _, s := range p.statements {
		for _, name := range s.principals.federated {
			name = strings.ToLower(name)
			if strings.Contains(name, "api.bitbucket.org") || strings.Contains(name, host) {
				return true
			}
		}
	}
	return false
}

// A roleJudgement is a role's policy while it is judged.
type roleJudgement struct {
	trust.Findings
	id         bitbucket.Identity
	o          trust.Options
	request    request
	role       role
	statements []judgedStatement
	denied     []judgedStatement // statements of resource control policies, each with its file in its path

	// What several rules look at.
	claimKeys     []claimKey
	subjectValues []subjectValue
	others        *others // nil where the identity does not get in
}

// A judgedStatement is a statement with its result.
type judgedStatement struct {
	statement
	named      bool        // it names the token's provider
	names      trust.Truth // whether it is about identities of that provider
	covers     trust.Truth // whether it is about AssumeRoleWithWebIdentity
	conditions []judgedCondition
	matches    trust.Truth
	why        string // why matches is unknown
	sub, aud   guard  // where the statement lets in this issuer's tokens
}

// A judgedCondition is a condition with its result.
type judgedCondition struct {
	condition
	actual []string
	holds  trust.Truth
	why    string // why holds is unknown
}

// judgeRole judges one role. The steps alone decide the verdict, as in AWS; findings only explain.
func judgeRole(role role, id bitbucket.Identity, o trust.Options) trust.Result {
	j := roleJudgement{id: id, o: o, request: newRequest(id.Claims), role: role}
	for _, s := range role.policy.statements {
		j.statements = append(j.statements, j.statement(s))
	}
	j.denied = j.denials()
	r := trust.Result{Kind: trust.AWSRole, Name: role.name, ARN: role.arn}
	for _, s := range j.statements {
		r.Steps = append(r.Steps, j.step(s))
	}
	r.Verdict, r.Reason = j.limited(j.verdict())
	if r.Verdict == trust.Allow {
		j.others = j.whoElse()
	}
	j.readClaimKeys()
	j.readSubjectValues()
	j.guardStatements()
	for _, c := range checks() {
		c.find(&j)
	}
	r.Findings = j.All()
	return r
}

// key is the condition key of a claim, in lower case.
func (j *roleJudgement) key(claim string) string { return fold(j.request.issuer) + ":" + claim }

// statement evaluates a statement. It does not evaluate the conditions of a statement about other principals.
func (j *roleJudgement) statement(s statement) judgedStatement {
	judged := judgedStatement{statement: s, named: j.namesProvider(s), covers: s.covers()}
	judged.names = judged.aboutWebIdentities()
	judged.matches = min(judged.names, judged.covers)
	if judged.names == trust.No {
		return judged
	}
	if judged.names == trust.Unknown {
		judged.why = everyoneUnsaid
	}
	j.hold(&judged, j.role.policy.variables)
	return judged
}

// hold evaluates the conditions of a statement, and whether the statement matches with them.
func (j *roleJudgement) hold(judged *judgedStatement, variables bool) {
	for _, c := range judged.statement.conditions {
		judged.conditions = append(judged.conditions, j.request.evaluate(c, variables))
	}
	reconcile(judged.conditions)
	for _, c := range judged.conditions {
		judged.matches = min(judged.matches, c.holds)
		if c.holds == trust.Unknown && judged.why == "" {
			judged.why = c.why
		}
	}
}

// namesProvider reports whether a statement names the provider of the token's issuer by its whole ARN.
// Source: IAM User Guide, "AWS JSON policy elements: Principal".
func (j *roleJudgement) namesProvider(s statement) bool {
	return slices.ContainsFunc(s.principals.federated, func(name string) bool {
		p, ok := parseProviderARN(name)
		return ok && p.path == j.request.issuer && j.role.canTrust(p)
	})
}

// everyoneUnsaid is why it is unknown whether a statement for everyone is about a web identity.
const everyoneUnsaid = `whether the principal {"AWS": "*"} includes web identities, which AWS does not say`

// aboutWebIdentities reports whether a statement is about identities of the token's provider.
func (s judgedStatement) aboutWebIdentities() trust.Truth {
	switch {
	case s.named:
		return trust.Yes
	case s.principals.everyone:
		return trust.Unknown
	}
	return trust.No
}

// A providerARN is the name of an identity provider.
type providerARN struct{ partition, account, path string }

func parseProviderARN(s string) (providerARN, bool) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" {
		return providerARN{}, false
	}
	path, ok := strings.CutPrefix(parts[5], "oidc-provider/")
	return providerARN{parts[1], parts[4], path}, ok
}

func (p providerARN) String() string {
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", p.partition, p.account, p.path)
}

func isAccount(s string) bool {
	return s == setup.AccountID || len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// covers reports whether a statement is about AssumeRoleWithWebIdentity.
func (s statement) covers() trust.Truth {
	if len(s.actions) == 0 {
		return trust.No
	}
	listed := slices.ContainsFunc(s.actions, func(action string) bool {
		return wildcards(fold(action)).matches(assumeAction)
	})
	return trust.TruthOf(listed != s.notAction)
}

// step is a statement in the output.
func (j *roleJudgement) step(s judgedStatement) trust.Step {
	step := trust.Step{Path: s.path, Effect: s.effect, Matches: s.matches.Pointer()}
	for _, c := range s.conditions {
		step.Conditions = append(step.Conditions, trust.Condition{
			Path: c.path, Operator: c.name, Key: c.key, Expected: c.values, Actual: c.actual, Holds: c.holds.Pointer(),
			Negated: c.negated, Wild: c.like, Change: j.change(s.effect, c),
		})
	}
	return step
}

// verdict decides: a matching Deny outweighs everything, a matching Allow lets in, and otherwise the identity is denied.
// Source: IAM User Guide, "Policy evaluation logic".
func (j *roleJudgement) verdict() (trust.Verdict, string) {
	if refusals := j.role.policy.refusals; len(refusals) > 0 {
		return trust.Deny, "AWS would not store this policy: " + refusals[0].why + at(refusals[0].path) + "."
	}
	denied, denies := strongest(j.statements, "Deny")
	allowed, allows := strongest(j.statements, "Allow")
	switch {
	case denies == trust.Yes:
		return trust.Deny, denied.path + " denies this identity."
	case allows == trust.No:
		return trust.Deny, j.obstacle()
	case allows == trust.Unknown:
		return trust.Undecided, fmt.Sprintf("Undecided: whether %s lets this identity in depends on %s.", allowed.path, allowed.why)
	case denies == trust.Unknown:
		return trust.Undecided, fmt.Sprintf("Undecided: whether %s denies this identity depends on %s.", denied.path, denied.why)
	}
	return trust.Allow, allowed.path + " lets this identity in, and no statement denies it."
}

func at(path string) string {
	if path == "" {
		return ""
	}
	return " (" + path + ")"
}

// strongest is the first of the statements with an effect that match most surely.
func strongest(all []judgedStatement, effect string) (judgedStatement, trust.Truth) {
	var best judgedStatement
	matches := trust.No
	for _, s := range all {
		if s.effect == effect && s.matches > matches {
			best, matches = s, s.matches
		}
	}
	return best, matches
}

// obstacle says in one sentence why no statement allows: which condition fails first in the first statement that names the provider.
func (j *roleJudgement) obstacle() string {
	for _, s := range j.statements {
		switch {
		case s.effect != "Allow" || s.names == trust.No:
			continue
		case s.covers == trust.No:
			return s.path + " does not allow sts:AssumeRoleWithWebIdentity."
		}
		for _, c := range s.conditions {
			if c.holds == trust.No {
				return fmt.Sprintf("%s wants %.200s to be %s, and %s.", c.path, c.key, c.wants(), c.has())
			}
		}
	}
	return "No Allow statement names the identity provider " + j.provider().String() + "."
}

// wants describes the values of a condition.
func (c judgedCondition) wants() string {
	none := ""
	if c.negated {
		none = "none of "
	}
	switch len(c.values) {
	case 0:
		return none + "nothing"
	case 1:
		return none + fmt.Sprintf("%.300q", c.values[0])
	case 2:
		return none + fmt.Sprintf("%.300q or %.300q", c.values[0], c.values[1])
	}
	return none + fmt.Sprintf("%.300q or %d other values", c.values[0], len(c.values)-1)
}

// has describes what AWS compares the values with.
func (c judgedCondition) has() string {
	if len(c.actual) == 0 {
		return "AWS sees no such key"
	}
	return "the token has " + trust.Quoted(c.actual)
}
