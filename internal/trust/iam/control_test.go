package iam

import (
	"strings"
	"testing"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// underControls judges a role together with resource control policies.
func underControls(t *testing.T, arn, policy string, controls ...string) trust.Result {
	t.Helper()
	read := func(text string) *document.File {
		f, err := document.Read("control.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	roles, ok, err := Read(read(`{"Role": {"Arn": "` + arn + `", "AssumeRolePolicyDocument": ` + policy + `}}`))
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	var all []Control
	for _, text := range controls {
		c, err := ReadControl(read(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	roles[0].Under(all)
	return roles[0].Judge(awsDeployment(), trust.Options{})
}

// A resource control policy denies, whatever the trust policy allows, and never allows.
// Source: AWS Organizations User Guide, "Resource control policies (RCPs)".
func TestAWSControlsLimitTheVerdict(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:role/deploy"
	control := func(rest string) string {
		return expandIssuer(`{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", ` + rest + `}}`)
	}
	const web = `"Action": "sts:AssumeRoleWithWebIdentity", "Resource": "*"`
	for _, test := range []struct {
		name     string
		controls []string
		verdict  trust.Verdict
		reason   string // a part of it
	}{
		{name: "none", verdict: trust.Allow, reason: "Statement[0] lets this identity in"},
		{name: "a Deny", controls: []string{control(web)}, verdict: trust.Deny, reason: "denies this identity (control.json: Statement[0])"},
		{
			name:     "the second of two",
			controls: []string{control(`"Action": "s3:*", "Resource": "*"`), control(web)}, verdict: trust.Deny, reason: "denies this identity",
		},
		{
			name:     "a Deny of others",
			controls: []string{control(web + `, "Condition": {"StringNotLike": {"@:sub": "` + inRepository + `"}}`)}, verdict: trust.Allow, reason: "lets",
		},
		{
			name:     "a Deny of this repository",
			controls: []string{control(web + `, "Condition": {"StringLike": {"@:sub": "` + inRepository + `"}}`)}, verdict: trust.Deny, reason: "denies",
		},
		{
			name:     "an address",
			controls: []string{control(web + `, "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`)}, verdict: trust.Undecided,
			reason: "Whether a resource control policy denies this identity (control.json: Statement[0]) depends on aws:SourceIp",
		},
		{
			name:     "what AWS would not store",
			controls: []string{control(`"NotAction": "s3:*", "Resource": "*"`)}, verdict: trust.Undecided,
			reason: "depends on a resource control policy that AWS would not store as it stands",
		},
		{
			name:     "all roles but this",
			controls: []string{control(`"Action": "sts:*", "NotResource": "` + arn + `"`)}, verdict: trust.Allow, reason: "lets this identity in",
		},
		{
			name:     "an Allow",
			controls: []string{strings.Replace(control(web), "Deny", "Allow", 1)}, verdict: trust.Allow, reason: "lets this identity in",
		},
	} {
		r := underControls(t, arn, awsPolicy(awsTrust("Allow", goodConditions)), test.controls...)
		if r.Verdict != test.verdict || !strings.Contains(r.Reason, test.reason) {
			t.Errorf("%s: %s: %s", test.name, r.Verdict, r.Reason)
		}
	}
}

// A resource control policy grants nothing: another repository that only its Deny leaves out is an error, not a note.
func TestAWSControlsGrantNothing(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:role/deploy"
	spare := func(values ...string) string {
		return expandIssuer(`{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
			"Resource": "*", "Condition": {"StringNotLike": {"@:sub": ` + document.Compact(values) + `}}}}`)
	}
	for _, test := range []struct {
		name, policy string
		spares       []string
		want         string // the severities of what is found about other repositories, each with its rule
	}{
		{"only this repository", onlyAudience, []string{inRepository}, ""},
		{"another one too", onlyAudience, []string{inRepository, awsOther + ":*"}, "error aws-admits-others"},
		{"another one, which the role names", onSubject("StringLike", inRepository, awsOther+":*"), []string{inRepository, awsOther + ":*"}, "note aws-names-others"},
		{"another one, which the role does not let in", goodConditions, []string{inRepository, awsOther + ":*"}, ""},
	} {
		got := ""
		for _, f := range underControls(t, arn, awsPolicy(awsTrust("Allow", test.policy)), spare(test.spares...)).Findings {
			if strings.HasSuffix(f.Rule, "-others") {
				got += string(f.Severity) + " " + f.Rule
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
