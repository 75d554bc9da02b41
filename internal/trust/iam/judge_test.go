package iam

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

func TestAWSLetsInWhatItShould(t *testing.T) {
	for _, id := range []bitbucket.Identity{awsBuild(), awsDeployment(), awsDeployment("https://gateway.example.com")} {
		document := awsPolicy(setup.AWSStatement(id.Claims, "aws", setup.AccountID))
		r := judgeAWS(t, document, id)
		for _, f := range r.Findings {
			if f.Severity != finding.Note {
				t.Errorf("%s: %s", f.Rule, f.Message)
			}
		}
		if r.Verdict != trust.Allow || r.Reason != "Statement[0] lets this identity in, and no statement denies it." {
			t.Errorf("%s: %s\n%s", r.Verdict, r.Reason, document)
		}
	}
}

// Source: IAM User Guide, "Policy evaluation logic".
func TestAWSDecision(t *testing.T) {
	const noSubject, everySubject, anyAddress = `{"StringLike": {"@:sub": "x"}}`, `{"StringLike": {"@:sub": "{*"}}`, `{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}`
	good, bad, open := awsTrust("Allow", goodConditions), awsTrust("Allow", noSubject), awsTrust("Allow", anyAddress)
	deny, openDeny, idle := awsTrust("Deny", everySubject), awsTrust("Deny", anyAddress), awsTrust("Deny", noSubject)
	tests := []struct {
		name       string
		statements []string
		want       trust.Verdict
	}{
		{"nothing", nil, trust.Deny},
		{"an Allow", []string{good}, trust.Allow},
		{"an Allow that does not match", []string{bad}, trust.Deny},
		{"one of two", []string{bad, good}, trust.Allow},
		{"a Deny", []string{good, deny}, trust.Deny},
		{"a Deny in front", []string{deny, good}, trust.Deny},
		{"a Deny that does not match", []string{good, idle}, trust.Allow},
		{"an open Allow", []string{bad, open}, trust.Undecided},
		{"an open Allow beside one that matches", []string{open, good}, trust.Allow},
		{"an open Deny", []string{good, openDeny}, trust.Undecided},
		{"an open Deny of what nobody allows", []string{bad, openDeny}, trust.Deny},
		{"an open Allow and a Deny", []string{open, deny}, trust.Deny},
		{"a Deny for everyone", []string{good, `{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*"}`}, trust.Undecided},
		{"a Deny for others", []string{good, `{"Effect": "Deny", "Principal": {"AWS": "123456789012"}, "Action": "*"}`}, trust.Allow},
		{"a Deny of another action", []string{good, strings.Replace(deny, "sts:AssumeRoleWithWebIdentity", "sts:TagSession", 1)}, trust.Allow},
		{"a Deny of all other actions", []string{good, strings.Replace(deny, `"Action": "sts:A`, `"NotAction": "sts:A`, 1)}, trust.Allow},
		{"an Allow of all other actions", []string{strings.Replace(good, `"Action": "sts:AssumeRoleWithWebIdentity"`, `"NotAction": "s3:*"`, 1)}, trust.Allow},
	}
	for _, test := range tests {
		if r := judgeAWS(t, awsPolicy(test.statements...), awsDeployment()); r.Verdict != test.want {
			t.Errorf("%s: %s, want %s: %s", test.name, r.Verdict, test.want, r.Reason)
		}
	}
}

// Source: IAM User Guide, "IAM JSON policy elements: Action": names are not case-sensitive, and can have wildcards.
func TestAWSActions(t *testing.T) {
	for action, want := range map[string]trust.Verdict{
		`"sts:AssumeRoleWithWebIdentity"`: trust.Allow, `"STS:assumerolewithwebidentity"`: trust.Allow,
		`["sts:TagSession", "sts:AssumeRoleWithWebIdentity"]`: trust.Allow,
		`"sts:AssumeRole*"`: trust.Allow, `"sts:*"`: trust.Allow, `"*"`: trust.Allow, `"sts:AssumeRoleWith???Identity"`: trust.Allow,
		`"sts:AssumeRole"`: trust.Deny, `"sts:AssumeRoleWithSAML"`: trust.Deny, `[]`: trust.Deny, `"AssumeRoleWithWebIdentity"`: trust.Deny,
	} {
		document := strings.Replace(awsPolicy(awsTrust("Allow", goodConditions)), `"sts:AssumeRoleWithWebIdentity"`, action, 1)
		if r := judgeAWS(t, document, awsDeployment()); r.Verdict != want {
			t.Errorf("%s: %s: %s", action, r.Verdict, r.Reason)
		}
	}
}

// Source: IAM User Guide, "AWS JSON policy elements: Principal".
func TestAWSPrincipals(t *testing.T) {
	for principal, want := range map[string]trust.Verdict{
		`{"Federated": "` + awsARN + `"}`:                                                             trust.Allow,
		`{"Federated": ["accounts.google.com", "` + awsARN + `"]}`:                                    trust.Allow,
		`{"AWS": "123456789012", "Federated": "` + awsARN + `"}`:                                      trust.Allow,
		`{"Federated": "arn:aws-us-gov:iam::123456789012:oidc-provider/` + awsIssuer + `"}`:           trust.Allow,
		`{"Federated": "arn:aws:iam::ACCOUNT_ID:oidc-provider/` + awsIssuer + `"}`:                    trust.Allow,
		`{"Federated": "` + strings.ToUpper(awsARN) + `"}`:                                            trust.Deny,
		`{"Federated": "arn:aws:iam::123456789012:oidc-provider/` + strings.ToUpper(awsIssuer) + `"}`: trust.Deny,
		`{"Federated": "` + awsARN + `/"}`:                                                            trust.Deny,
		`{"Federated": "https://` + awsIssuer + `"}`:                                                  trust.Deny,
		`{"Federated": "` + awsIssuer + `"}`:                                                          trust.Deny,
		`{"Federated": "` + strings.Replace(awsARN, "acme", "other", 1) + `"}`:                        trust.Deny,
		`{"Federated": "arn:aws:iam::12345:oidc-provider/` + awsIssuer + `"}`:                         trust.Deny,
		`{"Federated": "arn:gcp:iam::123456789012:oidc-provider/` + awsIssuer + `"}`:                  trust.Deny,
		`{"Service": "` + awsARN + `"}`:                                                               trust.Deny,
		`{"AWS": "arn:aws:iam::123456789012:root"}`:                                                   trust.Deny,
		`{}`:           trust.Deny,
		`{"AWS": "*"}`: trust.Undecided,
	} {
		document := strings.Replace(awsPolicy(awsTrust("Allow", goodConditions)), `{"Federated": "`+awsARN+`"}`, principal, 1)
		r := judgeAWS(t, document, awsDeployment())
		if r.Verdict != want {
			t.Errorf("%s: %s: %s", principal, r.Verdict, r.Reason)
		}
		if found := slices.Contains(awsFindings(r), "aws-principal"); found != (want != trust.Allow) {
			t.Errorf("%s: aws-principal found: %t", principal, found)
		}
	}
}

// The output has empty lists, and null only for what is unknown.
func TestAWSOutput(t *testing.T) {
	open := awsTrust("Allow", `{"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", 5, true]}}`)
	r := judgeAWS(t, awsPolicy(open, awsOthers(`{"AWS": "1"}`, "sts:AssumeRole", `{}`)), awsBuild())
	data, err := json.MarshalIndent(r.Steps, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `[
 {
  "path": "Statement[0]",
  "effect": "Allow",
  "matches": null,
  "conditions": [
   {
    "path": "Statement[0].Condition.IpAddress",
    "operator": "IpAddress",
    "key": "aws:SourceIp",
    "expected": [
     "10.0.0.0/8",
     "5",
     "true"
    ],
    "actual": [],
    "holds": null
   }
  ]
 },
 {
  "path": "Statement[1]",
  "effect": "Allow",
  "matches": false,
  "conditions": []
 }
]`
	if string(data) != want {
		t.Errorf("got %s", data)
	}
	want = "Undecided: whether Statement[0] lets this identity in depends on aws:SourceIp, and neither the policy nor the token contains it."
	if r.Reason != want {
		t.Errorf("reason %q", r.Reason)
	}
}
