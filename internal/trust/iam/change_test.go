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

// The obstacle is the condition that decides the verdict. A Deny that applies outweighs an Allow that fails.
func TestObstacle(t *testing.T) {
	const address = `{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`
	stranger, own := onSubject("StringLike", awsOther+":*"), `{"StringLike": {"@:sub": "`+inRepository+`"}}`
	good := awsTrust("Allow", goodConditions)
	for _, test := range []struct {
		name, policy string
		path, change string // of the condition; empty for no obstacle
	}{
		{"nothing", awsPolicy(good), "", ""},
		{
			"an Allow that fails", awsPolicy(awsTrust("Allow", stranger)),
			"Statement[0].Condition.StringLike", `"StringLike": {"` + awsIssuer + `:sub": "` + inEnvironment + `"}`,
		},
		{
			"the first that fails", awsPolicy(awsTrust("Allow", both(`{"StringNotLike": {"@:sub": "`+inRepository+`"}}`, stranger))),
			"Statement[0].Condition.StringNotLike", "remove the value that matches from Statement[0].Condition.StringNotLike",
		},
		{
			"a Deny behind an Allow that fails", awsPolicy(awsTrust("Allow", stranger), awsTrust("Deny", own)),
			"Statement[1].Condition.StringLike", "remove Statement[1].Condition.StringLike, or make it spare this identity",
		},
		{
			"a Deny that does not apply", awsPolicy(awsTrust("Deny", stranger), awsTrust("Allow", stranger)),
			"Statement[1].Condition.StringLike", `"StringLike": {"` + awsIssuer + `:sub": "` + inEnvironment + `"}`,
		},
		{"an address", awsPolicy(awsTrust("Allow", both(address, goodConditions))), "Statement[0].Condition.IpAddress", ""},
		{"an address of a Deny", awsPolicy(good, awsTrust("Deny", address)), "Statement[1].Condition.IpAddress", ""},
		{
			"a key without a value", awsPolicy(awsTrust("Allow", both(`{"StringEquals": {"aws:RequestTag/team": "x"}}`, onSubject("StringLike", inEnvironment)))),
			"Statement[0].Condition.StringEquals", "remove Statement[0].Condition.StringEquals: Bitbucket's tokens do not give AWS aws:RequestTag/team",
		},
		{
			"a key without an issuer", awsPolicy(awsTrust("Allow", `{"StringLike": {"sub": "`+inEnvironment+`"}}`)),
			"Statement[0].Condition.StringLike", "name the key " + awsIssuer + ":sub",
		},
		{
			"no TLS", awsPolicy(awsTrust("Allow", both(`{"Bool": {"aws:SecureTransport": "false"}}`, goodConditions))),
			"Statement[0].Condition.Bool", "add the value true to Statement[0].Condition.Bool",
		},
	} {
		_, c, found := Obstacle(judgeAWS(t, test.policy, awsDeployment()))
		if found != (test.path != "") || c.Path != test.path || c.Change != test.change {
			t.Errorf("%s: %t, %s: %s", test.name, found, c.Path, c.Change)
		}
	}
}
