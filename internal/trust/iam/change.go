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

// Obstacle is the condition that decides a role's verdict: of a refusal the first one that fails, or the first one of a
// Deny statement that applies; of an undecided verdict the first one that depends on something unknown.
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

// Change is the smallest change that makes a failing condition of a statement hold for id, or, under Deny, stops it from
// refusing id.
func Change(effect string, c trust.Condition, id bitbucket.Identity) string {
	key := strings.ToLower(c.Key)
	path := setup.AWSProviderPath(id.Claims)
	sub, aud := strings.HasSuffix(key, ":sub"), strings.HasSuffix(key, ":aud")
	foreign := (sub || aud) && key != strings.ToLower(path+c.Key[strings.LastIndex(c.Key, ":"):])
	operator := strings.ToLower(c.Operator)
	negated := strings.Contains(operator, "not")
	switch {
	case effect == "Deny":
		return fmt.Sprintf("remove %s, or make it spare this identity", c.Path)
	case foreign:
		return "name the key " + path + c.Key[strings.LastIndex(c.Key, ":"):]
	case negated:
		return "remove the value that matches from " + c.Path
	case sub:
		return document.Line("StringLike", map[string]string{c.Key: bitbucket.Subject(id.Claims) + ":*"})
	case aud:
		return document.Line(setup.AWSAudienceOperator(id.Claims), map[string]string{c.Key: bitbucket.WorkspaceAudience(id.Claims)})
	case len(c.Actual) == 0:
		return fmt.Sprintf("remove %s: Bitbucket's tokens do not give AWS %s", c.Path, cmp.Or(c.Key, "this key"))
	}
	return fmt.Sprintf("add the value %s to %s", c.Actual[0], c.Path)
}
