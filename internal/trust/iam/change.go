package iam

import (
	"cmp"
	"fmt"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// Obstacle is the condition that decides the verdict on a role. If the role refuses the identity, it is the first condition of a Deny
// statement that applies, or else the first that fails. If the verdict is undecided, it is the first that depends on something unknown.
func Obstacle(r trust.Result) (trust.Step, trust.Condition, bool) {
	for _, effect := range []string{"Deny", "Allow"} {
		for _, s := range r.Steps {
			if s.Effect != effect {
				continue
			}
			for _, c := range s.Conditions {
				if decides(r.Verdict, s, c) {
					return s, c, true
				}
			}
		}
	}
	return trust.Step{}, trust.Condition{}, false
}

// decides reports whether a condition is a reason for the verdict.
func decides(v trust.Verdict, s trust.Step, c trust.Condition) bool {
	switch {
	case v == trust.Undecided:
		return s.Matches == nil && c.Holds == nil
	case v == trust.Allow || s.Matches == nil || c.Holds == nil:
		return false
	}
	applies := s.Effect == "Deny" // a Deny refuses where it matches, an Allow where it does not
	return *s.Matches == applies && *c.Holds == applies
}

// change is the smallest change that makes a condition hold that fails or, under Deny, stops it from refusing the identity. It is empty
// where the condition is not in the way of the identity.
func (j *roleJudgement) change(effect string, c judgedCondition) string {
	_, claim, _ := bitbucket.CutLast(c.lower)
	onSubject, onAudience := c.lower == j.key("sub"), c.lower == j.key("aud")
	switch {
	case effect == "Deny" && c.holds == trust.Yes:
		return fmt.Sprintf("remove %s, or make it spare this identity", c.path)
	case effect == "Deny" || c.holds != trust.No:
		return ""
	case !onSubject && claim == "sub", !onAudience && claim == "aud":
		return "name the key " + j.request.issuer + ":" + c.key[strings.LastIndex(c.key, ":")+1:]
	case c.negated:
		return "remove the value that matches from " + c.path
	case onSubject:
		return document.Line("StringLike", map[string]string{c.key: bitbucket.Subject(j.id.Claims) + ":*"})
	case onAudience:
		return document.Line(setup.AWSAudienceOperator(j.id.Claims), map[string]string{c.key: bitbucket.WorkspaceAudience(j.id.Claims)})
	case len(c.actual) == 0:
		return fmt.Sprintf("remove %s: Bitbucket's tokens do not give AWS %s", c.path, cmp.Or(c.key, "this key"))
	}
	return fmt.Sprintf("add the value %s to %s", c.actual[0], c.path)
}
