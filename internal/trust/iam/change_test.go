package iam

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// The proposed change makes a condition that fails hold, and the statement with it.
func TestChangeMakesItHold(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 8 {
		id, stranger := trusttest.Someone(t, r), trusttest.Someone(t, r)
		path := setup.AWSProviderPath(id.Claims)
		sub, aud := path+":sub", path+":aud"
		fit := map[string]map[string]any{
			"StringLike":                         {sub: bitbucket.Subject(id.Claims) + ":*"},
			setup.AWSAudienceOperator(id.Claims): {aud: bitbucket.WorkspaceAudience(id.Claims)},
			"StringNotEqualsIfExists":            {path + ":amr": "x"},
		}
		for _, wrong := range []struct {
			operator, key string
			value         any
		}{
			{"StringLike", sub, bitbucket.Subject(stranger.Claims) + ":*"},
			{"StringLike", sub, []string{"x", strings.Trim(id.Claims.Repository(), "{}") + ":*"}},
			{"StringLike", sub, "{*"},
			{"StringLike", strings.ToUpper(sub), "repo:*"},
			{"StringLike", "https://" + sub, bitbucket.Subject(id.Claims) + ":*"},
			{setup.AWSAudienceOperator(id.Claims), aud, "sts.amazonaws.com"},
		} {
			condition := map[string]map[string]any{}
			for operator, keys := range fit {
				condition[operator] = keys
			}
			condition[wrong.operator] = map[string]any{wrong.key: wrong.value}
			step, failing, found := Obstacle(judgeCondition(t, condition, id))
			if wrong.value == "{*" {
				if found {
					t.Errorf("%v: an obstacle though it lets in", wrong)
				}
				continue
			}
			if !found || step.Effect != "Allow" || failing.Key != wrong.key {
				t.Errorf("%v: the obstacle is %v", wrong, failing)
				continue
			}
			change := failing.Change
			delete(condition, wrong.operator)
			var right map[string]map[string]any
			if key, renames := strings.CutPrefix(change, "name the key "); renames {
				right = map[string]map[string]any{wrong.operator: {key: wrong.value}}
			} else if err := json.Unmarshal([]byte("{"+change+"}"), &right); err != nil {
				t.Fatalf("%s: %v", change, err)
			}
			for operator, keys := range right {
				condition[operator] = keys
			}
			if res := judgeCondition(t, condition, id); res.Verdict != trust.Allow {
				t.Errorf("%v: after %s: %s: %s", wrong, change, res.Verdict, res.Reason)
			}
		}
	}
}

func judgeCondition(t *testing.T, condition any, id bitbucket.Identity) trust.Result {
	t.Helper()
	data, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": map[string]any{
		"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
		"Principal": map[string]string{"Federated": "arn:aws:iam::123456789012:oidc-provider/" + setup.AWSProviderPath(id.Claims)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	results, ok, err := Roles(data, id, trusttest.Options())
	if err != nil || !ok || len(results) != 1 {
		t.Fatalf("%v: %v", results, err)
	}
	return results[0]
}
