package trust

import (
	"cmp"
	"fmt"
	"strings"
)

// Obstacle is the condition that decides a role's verdict: of a refusal the first one that fails, or the first one of a
// Deny statement that applies; of an open verdict the first one that hangs on something unknown.
func Obstacle(r Result) (Step, Condition, bool) {
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
	return Step{}, Condition{}, false
}

func decides(v Verdict, s Step, c Condition) bool {
	switch {
	case v == Undecided:
		return s.Matches == nil && c.Holds == nil
	case v == Allow || s.Matches == nil || c.Holds == nil:
		return false
	}
	applies := s.Effect == "Deny" // a Deny refuses where it matches, an Allow where it does not
	return *s.Matches == applies && *c.Holds == applies
}

// Change is the smallest change that makes a failing condition of a statement hold for id, or, under Deny, stops it from
// refusing id.
func Change(effect string, c Condition, id Identity) string {
	key := strings.ToLower(c.Key)
	path := AWSProviderPath(id.Claims)
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
		return jsonLine("StringLike", map[string]string{c.Key: Subject(id.Claims) + ":*"})
	case aud:
		return jsonLine(audienceOperator(id.Claims), map[string]string{c.Key: WorkspaceAudience(id.Claims)})
	case len(c.Actual) == 0:
		return fmt.Sprintf("remove %s: Bitbucket's tokens do not give AWS %s", c.Path, cmp.Or(c.Key, "this key"))
	}
	return fmt.Sprintf("add the value %s to %s", c.Actual[0], c.Path)
}

// Wanted is what a document of a kind must hold to let id in, where no single condition is in the way.
func Wanted(kind string, id Identity) string {
	c, p := id.Claims, Places{}.Known()
	switch kind {
	case "gcp-provider":
		return "--attribute-condition=" + ShellWord(gcpConditionFor(c))
	case "gcp-policy":
		return "the member " + GCPMember(c, p.GCPProjectNumber, p.GCPPool)
	case "vault-role":
		role := vaultRoleFor(c)
		return indented(struct {
			BoundAudiences  []string          `json:"bound_audiences"`
			BoundClaimsType string            `json:"bound_claims_type,omitempty"`
			BoundClaims     map[string]string `json:"bound_claims"`
		}{role.BoundAudiences, role.BoundClaimsType, role.BoundClaims})
	}
	return AWSStatement(c, "aws", p.AWSAccount)
}
