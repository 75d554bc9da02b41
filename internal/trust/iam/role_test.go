package iam

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// The policy of a role may be an object or a string. The role may stand alone, in the output of get-role, or in a list.
func TestAWSDocuments(t *testing.T) {
	policy := awsPolicy(awsTrust("Allow", goodConditions))
	quoted := document.Compact(policy)
	encoded := strings.ReplaceAll(url.QueryEscape(policy), "+", "%20") // as IAM's API does
	role := func(document string) string {
		return `{"Path": "/", "RoleName": "deploy", "Arn": "arn:aws:iam::123456789012:role/deploy", "MaxSessionDuration": 3600,
			"AssumeRolePolicyDocument": ` + document + `}`
	}
	for name, document := range map[string]string{
		"get-role":                 `{"Role": ` + role(policy) + `}`,
		"get-role with a string":   `{"Role": ` + role(quoted) + `}`,
		"get-role, URL-encoded":    `{"Role": ` + role(`"`+encoded+`"`) + `}`,
		"encoded as a form":        `{"Role": ` + role(`"`+url.QueryEscape(policy)+`"`) + `}`,
		"list-roles":               `{"Roles": [` + role(policy) + `]}`,
		"list-roles with a string": `{"Roles": [` + role(quoted) + `], "IsTruncated": false}`,
		"a role alone":             role(policy),
		"its policy alone":         `{"AssumeRolePolicyDocument": ` + policy + `}`,
		"policy":                   policy,
		"a byte order of spaces":   "\n\t " + policy + "\n",
	} {
		r := judgeAWS(t, document, awsDeployment())
		if r.Verdict != trust.Allow || len(r.Findings) != 0 || r.Kind != "aws-role" {
			t.Errorf("%s: %s: %s %v", name, r.Verdict, r.Reason, r.Findings)
		}
		if want := map[bool]string{true: "deploy"}[strings.Contains(document, "RoleName")]; r.Name != want {
			t.Errorf("%s: name %q", name, r.Name)
		}
	}
	for name, document := range map[string]string{
		"nothing": ``, "not JSON": `{`, "a list": `[]`, "another kind": `{"bindings": []}`, "an empty object": `{}`, "a text": `"x"`,
		"another Version": `{"Version": 3}`,
	} {
		if results, ok, err := Roles([]byte(document), awsDeployment(), trust.Options{}); ok || err != nil || results != nil {
			t.Errorf("%s: %v, %t, %v", name, results, ok, err)
		}
	}
	for name, document := range map[string]string{
		"no policy":            `{"Role": {"RoleName": "x"}}`,
		"null":                 role("null"),
		"a list of none":       role("[]"),
		"not encoded":          role(`"%zz"`),
		"not JSON":             role(`"{"`),
		"a string of text":     role(`"hello"`),
		"a name that is twice": role(document.Compact(`{"Statement": [], "Statement": []}`)),
	} {
		if results, ok, err := Roles([]byte(document), awsDeployment(), trust.Options{}); !ok || err == nil {
			t.Errorf("%s: %v, %t, %v", name, results, ok, err)
		}
	}
}

// A role trusts a provider only in its own account and partition. A placeholder stands for any account.
func TestAWSProviderIsOfTheRolesAccount(t *testing.T) {
	policy := awsPolicy(awsTrust("Allow", goodConditions))
	for arn, want := range map[string]trust.Verdict{
		"arn:aws:iam::123456789012:role/deploy":          trust.Allow,
		"arn:aws:iam::123456789012:role/a/path/deploy":   trust.Allow,
		"arn:aws:iam::ACCOUNT_ID:role/deploy":            trust.Allow,
		"deploy":                                         trust.Allow, // an ARN that says neither
		"arn:aws:iam::210987654321:role/deploy":          trust.Deny,
		"arn:aws-us-gov:iam::123456789012:role/deploy":   trust.Deny,
		"arn:aws-cn:iam::123456789012:role/path/deploy2": trust.Deny,
	} {
		r := judgeAWS(t, `{"Role": {"Arn": "`+arn+`", "AssumeRolePolicyDocument": `+policy+`}}`, awsDeployment())
		if r.Verdict != want || slices.Contains(awsFindings(r), "aws-principal") != (want == trust.Deny) {
			t.Errorf("%s: %s %q: %s", arn, r.Verdict, awsFindings(r), r.Reason)
		}
	}
}

// In a list, only roles that trust a workspace of Bitbucket are judged, each by itself.
func TestAWSListsBitbucketRoles(t *testing.T) {
	role := func(name, policy string) string {
		return fmt.Sprintf(`{"RoleName": %q, "Arn": "arn:aws:iam::123456789012:role/x/%s", "AssumeRolePolicyDocument": %s}`, name, name, policy)
	}
	good := awsPolicy(awsTrust("Allow", goodConditions))
	document := `{"Roles": [` + strings.Join([]string{
		role("lambda", awsPolicy(awsOthers(`{"Service": "lambda.amazonaws.com"}`, "sts:AssumeRole", `{}`))),
		role("good", good),
		role("github", strings.ReplaceAll(good, awsIssuer, "token.actions.githubusercontent.com")),
		role("other", strings.ReplaceAll(good, "acme", "other")),
		role("far", strings.ReplaceAll(good, awsAccount, "999999999999")),
	}, ",") + `]}`
	results, ok, err := Roles([]byte(document), awsDeployment(), trust.Options{})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	var got []string
	for _, r := range results {
		got = append(got, fmt.Sprint(r.Name, " ", r.Verdict, " ", awsFindings(r)))
	}
	if want := []string{"good allow []", "other deny [aws-not-judged aws-principal]", "far deny [aws-principal]"}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if results, ok, err := Roles([]byte(`{"Roles": []}`), awsDeployment(), trust.Options{}); !ok || err != nil || len(results) != 0 {
		t.Error(results, ok, err)
	}
}
