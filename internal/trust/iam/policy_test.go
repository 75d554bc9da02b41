package iam

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// Policies that IAM would not store, each with the rule about it, if there is one.
func TestAWSRefusals(t *testing.T) {
	good := awsTrust("Allow", goodConditions)
	replace := func(old, new string) string { return awsPolicy(strings.Replace(good, old, new, 1)) }
	for _, test := range []struct{ name, rule, document, path string }{
		{"everyone", "aws-principal", replace(`{"Federated": "`+awsARN+`"}`, `"*"`), "Statement[0].Principal"},
		{"a principal that is no object", "aws-principal", replace(`{"Federated": "`+awsARN+`"}`, `"`+awsARN+`"`), "Statement[0].Principal"},
		{"a kind of principal", "aws-principal", replace(`"Federated"`, `"federated"`), "Statement[0].Principal"},
		{"a provider with a wildcard", "aws-principal", replace(awsIssuer+`"}`, `*"}`), "Statement[0].Principal"},
		{"every provider", "aws-principal", replace(awsARN, "*"), "Statement[0].Principal"},
		{"every account by a wildcard", "aws-principal",
			awsPolicy(good, awsOthers(`{"AWS": ["123456789012", "arn:aws:iam::*:root"]}`, "sts:AssumeRole", `{}`)), "Statement[1].Principal"},
		{"a service with a wildcard", "aws-principal",
			awsPolicy(good, awsOthers(`{"Service": "*.amazonaws.com"}`, "sts:AssumeRole", `{}`)), "Statement[1].Principal"},
		{"no principal", "aws-principal", replace(`"Principal": {"Federated": "`+awsARN+`"},`, ``), "Statement[0].Principal"},
		{"NotPrincipal", "aws-principal", replace(`"Principal"`, `"NotPrincipal"`), "Statement[0].NotPrincipal"},
		{"both", "aws-principal", replace(`"Action"`, `"NotPrincipal": {"AWS": "1"}, "Action"`), "Statement[0].NotPrincipal"},
		{"Resource", "aws-principal", replace(`"Action"`, `"Resource": "*", "Action"`), "Statement[0].Resource"},
		{"NotResource", "aws-principal", replace(`"Action"`, `"NotResource": "*", "Action"`), "Statement[0].NotResource"},
		{"a Deny with Resource", "aws-principal",
			awsPolicy(good, `{"Effect": "Deny", "Principal": {"AWS": "1"}, "Action": "*", "Resource": "*"}`), "Statement[1].Resource"},
		{"too long", "aws-policy-too-long", replace(`"Action"`, `"Sid": "`+strings.Repeat("x", 4096)+`", "Action"`), ""},
		{"effect", "", replace(`"Allow"`, `"allow"`), ""},
		{"no effect", "", replace(`"Effect": "Allow",`, ``), ""},
		{"an element", "", replace(`"Action"`, `"Actions": "*", "Action"`), ""},
		{"an element's case", "", replace(`"Condition"`, `"condition"`), ""},
		{"both actions", "", replace(`"Action"`, `"NotAction": "s3:*", "Action"`), ""},
		{"an action that is no string", "", replace(`"Action": "sts:AssumeRoleWithWebIdentity"`, `"Action": [5]`), ""},
		{"an operator", "", replace(`"StringEquals"`, `"StringMatches"`), ""},
		{"Null with IfExists", "", replace(`"StringEquals": {"`+awsIssuer+`:aud": "`+awsAudience+`"}`, `"NullIfExists": {"x:y": "true"}`), ""},
		{"a value", "", replace(`"`+awsAudience+`"`, `{}`), ""},
		{"a value in a list", "", replace(`"`+awsAudience+`"`, `[null]`), ""},
		{"keys", "", replace(`{"`+awsIssuer+`:aud": "`+awsAudience+`"}`, `"x"`), ""},
		{"a condition", "", awsPolicy(awsTrust("Allow", `[]`)), ""},
		{"a version", "", strings.Replace(awsPolicy(good), "2012", "2013", 1), ""},
		{"a version that is no string", "", strings.Replace(awsPolicy(good), `"2012-10-17"`, `20121017`, 1), ""},
		{"no statement", "", `{"Version": "2012-10-17"}`, ""},
		{"a statement that is no object", "", awsPolicy(good, `"x"`), ""},
		{"statements that are none", "", `{"Version": "2012-10-17", "Statement": "x"}`, ""},
		{"an element of the policy", "", strings.Replace(awsPolicy(good), `"Version"`, `"Statements": [], "Version"`, 1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := judgeAWS(t, test.document, awsDeployment())
			if r.Verdict != trust.Deny || !strings.HasPrefix(r.Reason, "AWS would not store this policy: ") {
				t.Errorf("%s: %s", r.Verdict, r.Reason)
			}
			if test.rule == "" {
				return
			}
			i := slices.IndexFunc(r.Findings, func(f finding.Finding) bool {
				return f.Rule == test.rule && f.Severity == finding.Error && f.Path == test.path
			})
			if i < 0 {
				t.Errorf("no %s at %s: %+v", test.rule, test.path, r.Findings)
			}
		})
	}
}

// A quota is the longest policy that AWS stores. Characters count, and white space between elements does not.
// Source: IAM User Guide, "IAM and AWS STS quotas".
func TestAWSQuotas(t *testing.T) {
	statement := awsTrust("Allow", goodConditions)
	for _, test := range []struct {
		length   int
		verdict  trust.Verdict
		severity finding.Severity // of aws-policy-too-long; empty for none
	}{
		{2048, trust.Allow, ""},
		{2049, trust.Allow, finding.Warning},
		{4096, trust.Allow, finding.Warning},
		{4097, trust.Deny, finding.Error},
	} {
		sid := func(text string) string {
			return "\n" + awsPolicy(strings.Replace(statement, `"Effect"`, `"Sid": "`+text+`", "Effect"`, 1)) + "\n"
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(sid("é "))); err != nil { // é has two bytes, and a space inside a string counts
			t.Fatal(err)
		}
		policy := sid("é " + strings.Repeat("x", test.length-utf8.RuneCount(compact.Bytes())))
		r := judgeAWS(t, policy, awsDeployment())
		var found finding.Severity
		for _, f := range r.Findings {
			if f.Rule == "aws-policy-too-long" {
				found = f.Severity
			}
		}
		if r.Verdict != test.verdict || found != test.severity {
			t.Errorf("%d characters: %s with %q: %s", test.length, r.Verdict, found, r.Reason)
		}
	}
}
