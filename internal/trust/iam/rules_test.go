package iam

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// For each rule, documents in which it is found, and documents in which it is not. The step is on a deployment.
func TestAWSRules(t *testing.T) {
	upper := strings.ToUpper
	bare := func(uuid string) string { return strings.Trim(uuid, "{}") }
	otherARN := strings.Replace(awsARN, "acme", "other", 1)
	workspace := "{" + awsWorkspace + "}"
	good := awsTrust("Allow", goodConditions)
	replaced := func(old, new string) string { return awsPolicy(strings.Replace(good, old, new, 1)) }
	allow := func(condition string) string { return awsPolicy(awsTrust("Allow", condition)) }
	denyOther := awsTrust("Deny", `{"StringLike": {"@:sub": "`+awsOther+`:*"}}`)
	besideGoogle := func(condition string) string { // for Google's identities too
		statement := awsTrust("Allow", both(condition, goodConditions))
		return awsPolicy(strings.Replace(statement, `"`+awsARN+`"`, document.Compact([]string{awsARN, "accounts.google.com"}), 1))
	}
	goodSubject := onSubject("StringLike", inEnvironment)
	denyOthers := `{"StringNotLike": {"@:sub": "` + inRepository + `"}}`
	withDeny := func(allow, deny string) string { return awsPolicy(awsTrust("Allow", allow), awsTrust("Deny", deny)) }

	for _, test := range []struct {
		name, document string
		want           string // the rules found, in the order of their names
		verdict        trust.Verdict
	}{
		{"the right policy", allow(goodConditions), "", trust.Allow},
		{"the right policy, with ForAnyValue", allow(onSubject("StringLike", inEnvironment)), "", trust.Allow},
		{"another repository's", allow(onSubject("StringLike", awsOther+":"+awsEnv+":*")), "", trust.Deny},
		{"deployments of any environment", allow(onSubject("StringLike", awsRepo+":*:*")), "", trust.Allow},
		{"an environment of whatever repository it is in", allow(onSubject("StringLike", "*:"+awsEnv+":*")), "", trust.Allow},
		{"Null beside it", allow(both(`{"Null": {"@:sub": false}}`, goodConditions)), "", trust.Allow},
		{"an address beside it", allow(both(`{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`, goodConditions)), "", trust.Undecided},
		{"statements for others", awsPolicy(good, awsOthers(`{"AWS": "*"}`, "sts:AssumeRole", `{"StringLike": {"x.y:sub": "*"}}`)), "aws-not-judged", trust.Allow},

		{"aws-sub-missing", allow(onlyAudience), "aws-sub-missing", trust.Allow},
		{"no condition", allow(`{}`), "aws-aud-missing aws-sub-missing", trust.Allow},
		{"only that it is there", allow(both(`{"Null": {"@:sub": "false"}}`, onlyAudience)), "aws-sub-missing", trust.Allow},
		{"a Deny for others guards", withDeny(onlyAudience, denyOthers), "", trust.Allow},
		{"a Deny for others, everywhere", awsPolicy(awsTrust("Allow", onlyAudience), forEveryone(awsTrust("Deny", denyOthers))), "aws-sub-missing", trust.Allow},
		{"a Deny for others that also asks for more",
			withDeny(onlyAudience, both(denyOthers, `{"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`)), "aws-sub-missing", trust.Allow},
		{"a Deny for nobody", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "*"}}`), "aws-sub-missing", trust.Allow},
		{"a Deny for one", withDeny(onlyAudience, `{"StringLike": {"@:sub": "`+awsOther+`:*"}}`), "aws-sub-missing", trust.Allow},

		{"aws-sub-wildcard", allow(onSubject("StringLike", "*")), "aws-sub-wildcard", trust.Allow},
		{"two parts", allow(onSubject("StringLike", "*:*")), "aws-sub-wildcard", trust.Allow},
		{"three parts", allow(onSubject("StringLike", "*:*:*")), "aws-sub-wildcard", trust.Allow},
		{"in braces", allow(onSubject("StringLike", "{*}:*")), "aws-sub-wildcard", trust.Allow},
		{"beside a good one", allow(onSubject("StringLike", inEnvironment, "*")), "aws-sub-wildcard", trust.Allow},
		{"question marks", allow(onSubject("StringLike", "{????????-????-4???-????-????????????}:*")), "aws-sub-wildcard", trust.Allow},
		{"in a set", allow(onSubject("ForAnyValue:StringLike", "*")), "aws-sub-wildcard", trust.Allow},
		{"but for the end of a UUID", allow(onSubject("StringLike", "*"+awsRepo[len(awsRepo)-2:]+":*")), "aws-sub-wildcard", trust.Allow},
		{"but for the beginning of the environment's", allow(onSubject("StringLike", "*:"+awsEnv[:3]+"*")), "aws-sub-wildcard", trust.Allow},
		{"an environment of any repository", allow(onSubject("StringLike", "*:"+awsEnv+":*")), "", trust.Allow},
		{"itself", allow(onSubject("StringEquals", "${"+awsIssuer+":sub}")), "aws-sub-wildcard", trust.Allow},
		{"itself, with a default", allow(onSubject("StringLike", "*${ "+awsIssuer+":SUB , 'x'}*")), "aws-sub-wildcard", trust.Allow},
		{"as an ARN", allow(onSubject("ArnLike", "*")), "aws-sub-wildcard", trust.Undecided},

		{"aws-sub-boundary", allow(onSubject("StringLike", awsRepo+"*")), "aws-sub-boundary", trust.Allow},
		{"inside the UUID", allow(onSubject("StringLike", awsRepo[:5]+"*")), "aws-sub-boundary", trust.Allow},
		{"inside, with a colon behind", allow(onSubject("StringLike", awsRepo[:9]+"*}:*")), "aws-sub-boundary", trust.Allow},
		{"before the brace", allow(onSubject("StringLike", awsRepo[:37]+"*")), "aws-sub-boundary", trust.Allow},
		{"a question mark", allow(onSubject("StringLike", awsRepo+"?*")), "aws-sub-boundary", trust.Allow},

		{"aws-sub-braces", allow(onSubject("StringLike", bare(awsRepo)+":*")), "aws-sub-braces", trust.Deny},
		{"the environment's", allow(onSubject("StringLike", awsRepo+":"+bare(awsEnv)+":*")), "aws-sub-braces", trust.Deny},
		{"one brace", allow(onSubject("StringLike", awsRepo[:37]+":*")), "aws-sub-braces", trust.Deny},
		{"doubled", allow(onSubject("StringLike", "{"+awsRepo+"}:*")), "aws-sub-braces", trust.Deny},
		{"as a variable", allow(onSubject("StringLike", "$"+inRepository)), "aws-sub-braces", trust.Deny},
		{"percent-encoded", allow(onSubject("StringLike", "%7B"+bare(awsRepo)+"%7D:*")), "aws-sub-braces", trust.Deny},
		{"all bare", allow(onSubject("StringEquals", bare(awsRepo)+":"+bare(awsStep))), "aws-sub-braces", trust.Deny},
		{"in a Deny", withDeny(goodConditions, onSubject("StringLike", bare(awsOther)+":*")), "aws-sub-braces", trust.Allow},

		{"aws-sub-shape", allow(onSubject("StringLike", workspace+":"+inRepository)), "aws-sub-shape", trust.Deny},
		{"the workspace", allow(onSubject("StringLike", workspace+":*")), "aws-sub-shape", trust.Deny},
		{"a branch", allow(onSubject("StringLike", awsRepo+":main:*")), "aws-sub-shape", trust.Deny},
		{"an environment's name", allow(onSubject("StringLike", awsRepo+":production:*")), "aws-sub-shape", trust.Deny},
		{"GitHub's", allow(onSubject("StringLike", "repo:acme/shop:*")), "aws-sub-shape", trust.Deny},
		{"no step", allow(onSubject("StringEquals", awsRepo)), "aws-sub-shape", trust.Deny},
		{"no step behind the environment", allow(onSubject("StringEquals", awsRepo+":"+awsEnv)), "aws-sub-shape", trust.Deny},
		{"the environment alone", allow(onSubject("StringLike", awsEnv+":*")), "aws-sub-shape", trust.Deny},
		{"four parts", allow(onSubject("StringLike", "*:*:*:*")), "aws-sub-shape", trust.Deny},
		{"a variable without a value", allow(onSubject("StringLike", "${aws:PrincipalTag/repository}:*")), "aws-sub-shape", trust.Deny},
		{"beside a good one too", allow(onSubject("StringLike", inEnvironment, awsRepo+":main:*")), "aws-sub-shape", trust.Allow},

		{"aws-sub-pins-step", allow(onSubject("StringEquals", awsRepo+":"+awsEnv+":"+awsStep)), "aws-sub-pins-step", trust.Allow},
		{"off deployments", allow(onSubject("StringEquals", awsRepo+":"+awsStep)), "aws-sub-pins-step", trust.Deny},
		{"under StringLike", allow(onSubject("StringLike", awsRepo+":*:"+awsStep)), "aws-sub-pins-step", trust.Allow},

		{"aws-equals-wildcard", allow(onSubject("StringEquals", inRepository)), "aws-equals-wildcard", trust.Deny},
		{"a star alone", allow(onSubject("StringEquals", "*")), "aws-equals-wildcard", trust.Deny},
		{"a star as a variable", allow(onAudience("StringEquals", "https://x${*}y")), "", trust.Deny},
		{"a star inside the UUID", allow(onSubject("StringEquals", awsRepo[:5]+"*")), "aws-equals-wildcard", trust.Deny},
		{"ignoring case", allow(onSubject("StringEqualsIgnoreCase", awsRepo+":?"+awsStep[1:])), "aws-equals-wildcard", trust.Deny},
		{"of the audience", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/*")), "aws-equals-wildcard", trust.Deny},
		{"of the session's name", allow(both(`{"StringEquals": {"sts:RoleSessionName": "bitbucket-*"}}`, goodSubject)), "aws-equals-wildcard", trust.Undecided},
		{"under Deny", withDeny(goodConditions, `{"StringEquals": {"@:sub": "`+awsOther+`:*"}}`), "aws-equals-wildcard", trust.Allow},

		{"aws-uuid-case", allow(onSubject("StringLike", upper(awsRepo)+":"+awsEnv+":*")), "aws-uuid-case", trust.Deny},
		{"the environment's case", allow(onSubject("StringLike", awsRepo+":"+upper(awsEnv)+":*")), "aws-uuid-case", trust.Deny},
		{"another repository's case", allow(onSubject("StringLike", upper(awsOther)+":*")), "aws-uuid-case", trust.Deny},
		{"ignored", allow(onSubject("StringEqualsIgnoreCase", upper(awsRepo)+":"+awsEnv+":"+awsStep)), "aws-sub-pins-step", trust.Allow},
		{"of the audience too", allow(onAudience("StringEquals", upper(awsAudience))), "aws-uuid-case", trust.Deny},
		{"of the audience, ignored", allow(onAudience("StringEqualsIgnoreCase", upper(awsAudience))), "", trust.Allow},

		{"aws-repository-wide", allow(onSubject("StringLike", inRepository)), "aws-repository-wide", trust.Allow},

		{"aws-aud-missing", allow(`{"StringLike": {"@:sub": "` + inEnvironment + `"}}`), "aws-aud-missing", trust.Allow},
		{"any audience", allow(onAudience("ForAnyValue:StringLike", "*")), "aws-aud-missing", trust.Allow},

		{"aws-aud-mismatch", allow(onAudience("StringEquals", "sts.amazonaws.com")), "aws-aud-mismatch", trust.Deny},
		{"beside the right one", allow(onAudience("StringEquals", awsAudience, "sts.amazonaws.com")), "aws-aud-mismatch", trust.Allow},
		{"with braces", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/"+workspace)), "aws-aud-mismatch", trust.Deny},
		{"another workspace's", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/"+bare(awsOther))), "aws-aud-mismatch", trust.Deny},
		{"with a slug", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/acme")), "aws-aud-mismatch", trust.Deny},
		{"a custom audience", allow(onAudience("StringEquals", "https://gateway.example.com")), "", trust.Deny},
		{"a pattern that fits", allow(onAudience("ForAnyValue:StringLike", "ari:cloud:bitbucket::workspace/922e*")), "", trust.Allow},

		{"aws-forallvalues", allow(onAudience("ForAllValues:StringEquals", awsAudience)), "aws-forallvalues", trust.Allow},
		{"of the subject", allow(onSubject("ForAllValues:StringLike", inEnvironment)), "aws-forallvalues", trust.Allow},
		{"with Null", allow(both(`{"Null": {"@:aud": "false"}}`, onAudience("ForAllValues:StringEquals", awsAudience))), "", trust.Allow},
		{"under Deny, where it is right", withDeny(goodConditions, `{"ForAllValues:StringNotLike": {"@:sub": "`+awsRepo+`:*"}}`), "", trust.Allow},

		{"aws-fails-open", allow(onSubject("StringLikeIfExists", inEnvironment)), "aws-fails-open", trust.Allow},
		{"negated", allow(onSubject("StringNotLike", awsOther+":*")), "aws-fails-open", trust.Allow},
		{"Null", allow(both(`{"Null": {"@:sub": "true"}}`, onlyAudience)), "aws-fails-open", trust.Deny},
		{"the audience", allow(onAudience("StringEqualsIfExists", awsAudience)), "aws-fails-open", trust.Allow},
		{"the audience, and no subject", allow(`{"StringEqualsIfExists": {"@:aud": "` + awsAudience + `"}}`), "aws-fails-open", trust.Allow},
		{"IfExists with Null", allow(both(`{"Null": {"@:sub": "false"}}`, onSubject("StringLikeIfExists", inEnvironment))), "", trust.Allow},
		{"a Deny that spares many", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "`+awsRepo[:2]+`*"}}`), "aws-sub-missing", trust.Allow},
		{"a Deny that spares itself", withDeny(onlyAudience, `{"StringNotEquals": {"@:sub": "${`+awsIssuer+`:sub}"}}`), "aws-sub-missing", trust.Allow},
		{"a Deny that spares one", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "`+awsRepo+":"+awsEnv+`:*"}}`), "", trust.Allow},
		{"the audience that it has", allow(onAudience("StringEquals", "${"+awsIssuer+":aud}")), "aws-aud-missing", trust.Allow},
		{"negated beside a guard", allow(both(`{"StringNotLike": {"@:sub": "`+awsRepo+":"+awsEnv+`:{0*"}}`, goodConditions)), "", trust.Allow},

		{"aws-claim-unavailable", allow(both(`{"StringEquals": {"@:repositoryUuid": "`+awsRepo+`"}}`, goodSubject)), "aws-claim-unavailable", trust.Deny},
		{"negated, of a Deny", withDeny(goodConditions, `{"StringNotEquals": {"@:branchName": "main"}}`), "aws-claim-unavailable", trust.Deny},

		{"aws-key-prefix", replaced(`"`+awsIssuer+`:sub`, `"https://`+awsIssuer+`:sub`), "aws-key-prefix", trust.Deny},
		{"an ARN", replaced(`"`+awsIssuer+`:sub`, `"`+awsARN+`:sub`), "aws-key-prefix", trust.Deny},
		{"a slash", replaced(`"`+awsIssuer+`:aud`, `"`+awsIssuer+`/:aud`), "aws-key-prefix", trust.Deny},
		{"another workspace", replaced(`"`+awsIssuer+`:aud`, `"`+strings.Replace(awsIssuer, "acme", "other", 1)+`:aud`), "aws-key-prefix", trust.Deny},
		{"no path", replaced(`"`+awsIssuer+`:sub`, `"api.bitbucket.org:sub`), "aws-key-prefix", trust.Deny},
		{"no issuer", replaced(`"`+awsIssuer+`:sub`, `"sub`), "aws-key-prefix", trust.Deny},
		{"a slash for the colon", replaced(`"`+awsIssuer+`:sub`, `"`+awsIssuer+`/sub`), "aws-key-prefix", trust.Deny},
		{"negated, so that it always holds",
			allow(both(`{"StringNotLike": {"https://`+awsIssuer+`:sub": "x"}}`, onlyAudience)), "aws-key-prefix aws-sub-missing", trust.Allow},
		{"and a claim",
			allow(both(`{"StringEquals": {"https://`+awsIssuer+`:branchName": "main"}}`, goodSubject)), "aws-claim-unavailable aws-key-prefix", trust.Deny},
		{"in capitals", allow(strings.ReplaceAll(expandIssuer(goodConditions), awsIssuer, upper(awsIssuer))), "", trust.Allow},
		{"of a provider without an ARN", besideGoogle(`{"StringEqualsIfExists": {"accounts.google.com:aud": "x"}}`), "aws-not-judged", trust.Allow},
		{"of no provider", besideGoogle(`{"StringEqualsIfExists": {"accounts.example.com:aud": "x"}}`), "aws-key-prefix aws-not-judged", trust.Allow},
		{"of the other provider", replaced(`"`+awsARN+`"`, document.Compact([]string{awsARN, otherARN})), "aws-not-judged", trust.Allow},

		{"aws-principal", replaced("workspaces/acme", "workspaces/other"), "aws-not-judged aws-principal", trust.Deny},
		{"only a Deny names it", awsPolicy(awsTrust("Deny", `{}`)), "aws-principal", trust.Deny},
		{"no statements", awsPolicy(), "aws-principal", trust.Deny},

		{"aws-action", replaced("sts:AssumeRoleWithWebIdentity", "sts:AssumeRole"), "aws-action", trust.Deny},
		{"NotAction", replaced(`"Action": "sts:AssumeRoleWithWebIdentity"`, `"NotAction": "s3:*"`), "aws-action", trust.Allow},
		{"everything", replaced("sts:AssumeRoleWithWebIdentity", "*"), "aws-action", trust.Allow},
		{"everything of STS", replaced("sts:AssumeRoleWithWebIdentity", "STS:*"), "aws-action", trust.Allow},
		{"a few", replaced(`"sts:AssumeRoleWithWebIdentity"`, `["sts:TagSession", "sts:AssumeRole*"]`), "", trust.Allow},
		{"a Deny of everything", awsPolicy(good, strings.Replace(denyOther, "sts:AssumeRoleWithWebIdentity", "*", 1)), "", trust.Allow},

		{"aws-source-ip-only", allow(`{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`), "aws-aud-missing aws-source-ip-only aws-sub-missing", trust.Undecided},
		{"an address and a subject",
			allow(both(`{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`, `{"StringLike": {"@:sub": "`+inEnvironment+`"}}`)), "aws-aud-missing", trust.Undecided},

		{"aws-policy-too-long", replaced(`"Action"`, `"Sid": "`+strings.Repeat("x", 2048)+`", "Action"`), "aws-policy-too-long", trust.Allow},
		{"far too long", replaced(`"Action"`, `"Sid": "`+strings.Repeat("x", 4096)+`", "Action"`), "aws-policy-too-long", trust.Deny},
		{"long with white space only", strings.ReplaceAll(allow(goodConditions), `"Action"`, strings.Repeat(" \n\t", 2000)+`"Action"`), "", trust.Allow},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := judgeAWS(t, test.document, awsDeployment())
			if got := strings.Join(awsFindings(r), " "); got != test.want {
				t.Errorf("found %q, want %q in\n%s", got, test.want, test.document)
			}
			if r.Verdict != test.verdict {
				t.Errorf("%s, want %s: %s", r.Verdict, test.verdict, r.Reason)
			}
			for _, f := range r.Findings {
				checkFinding(t, f)
			}
		})
	}
}

// checkFinding checks what every finding promises: one sentence, and a fix to paste.
func checkFinding(t *testing.T, f finding.Finding) {
	t.Helper()
	if !strings.HasSuffix(f.Message, ".") || strings.Count(f.Message, ". ") > 0 || strings.ContainsAny(f.Message, "\n\x1b") {
		t.Errorf("%s: not a sentence: %q", f.Rule, f.Message)
	}
	object := f.Fix.Text
	if !strings.HasPrefix(object, "{") {
		object = "{" + object + "}"
	}
	invalid := f.Fix.Kind == finding.JSON && !json.Valid([]byte(object)) || f.Fix.Kind == finding.Shell && !strings.HasPrefix(f.Fix.Text, "aws iam ")
	if invalid || f.Fix.Text == "" {
		t.Errorf("%s: cannot be pasted: %s", f.Rule, f.Fix.Text)
	}
}

func TestAWSSeverities(t *testing.T) {
	for document, want := range map[string]finding.Severity{
		awsPolicy(awsTrust("Allow", onSubject("StringLike", inRepository))):                                                              finding.Note,
		awsPolicy(strings.Replace(awsTrust("Allow", goodConditions), "sts:AssumeRoleWithWebIdentity", "sts:*", 1)):                       finding.Warning,
		awsPolicy(strings.Replace(awsTrust("Allow", goodConditions), "sts:AssumeRoleWithWebIdentity", "sts:AssumeRole", 1)):              finding.Error,
		awsPolicy(strings.Replace(awsTrust("Allow", goodConditions), `"Effect"`, `"Sid": "`+strings.Repeat("x", 1900)+`", "Effect"`, 1)): finding.Warning,
		awsPolicy(strings.Replace(awsTrust("Allow", goodConditions), `"Effect"`, `"Sid": "`+strings.Repeat("x", 4096)+`", "Effect"`, 1)): finding.Error,
	} {
		r := judgeAWS(t, document, awsDeployment())
		if len(r.Findings) != 1 || r.Findings[0].Severity != want {
			t.Errorf("want one %s: %+v", want, r.Findings)
		}
	}
}

func TestAWSMultivaluedAudience(t *testing.T) {
	id := awsDeployment("https://gateway.example.com")
	for condition, want := range map[string][]string{
		onAudience("StringEquals", awsAudience):                                                   {"aws-aud-multivalued"},
		onAudience("StringNotEquals", "x"):                                                        {"aws-aud-multivalued", "aws-fails-open"},
		onAudience("ForAllValues:StringLike", "*"):                                                {"aws-aud-multivalued", "aws-forallvalues"},
		onAudience("ForAnyValue:StringEquals", awsAudience):                                       {},
		onAudience("ForAnyValue:StringEquals", "https://gateway.example.com"):                     {},
		both(`{"Null": {"@:aud": "false"}}`, onAudience("ForAnyValue:StringEquals", awsAudience)): {},
	} {
		r := judgeAWS(t, awsPolicy(awsTrust("Allow", condition)), id)
		if got := awsFindings(r); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", condition, got, want)
		}
	}
	denied := awsPolicy(awsTrust("Allow", onAudience("ForAnyValue:StringEquals", awsAudience)), awsTrust("Deny", `{"StringEquals": {"@:aud": "x"}}`))
	if r := judgeAWS(t, denied, id); r.Verdict != trust.Undecided || len(r.Findings) != 0 {
		t.Errorf("%s: %q", r.Verdict, awsFindings(r))
	}
}

// A star is literal under StringEquals, which is right if the token has an audience with a star.
func TestAWSAudienceWithAStar(t *testing.T) {
	const star = "https://x*y"
	r := judgeAWS(t, awsPolicy(awsTrust("Allow", onAudience("ForAnyValue:StringEquals", star))), awsDeployment(star))
	if got := awsFindings(r); r.Verdict != trust.Allow || len(got) != 0 {
		t.Errorf("%s: %q: %s", r.Verdict, got, r.Reason)
	}
}

func TestAWSSessionDuration(t *testing.T) {
	document := `{"Role": {"RoleName": "deploy", "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": ` + awsPolicy(awsTrust("Allow", goodConditions)) + `}}`
	for duration, want := range map[time.Duration]int{0: 0, time.Hour: 0, time.Hour + time.Second: 1} {
		results, _, err := Roles([]byte(document), awsDeployment(), trust.Options{Duration: duration})
		if err != nil || results[0].Verdict != trust.Allow || len(results[0].Findings) != want {
			t.Errorf("%s: %v, %+v", duration, err, results)
		}
		for _, f := range results[0].Findings {
			if f.Rule != "aws-session-too-long" || f.Severity != finding.Warning || f.Fix.Text != `AWS_SESSION_DURATION: "3600"` {
				t.Errorf("%+v", f)
			}
		}
	}
}

// A fix is right: pasted into the policy, it lets this identity in, and nothing is found.
func TestAWSFixesAreRight(t *testing.T) {
	for _, id := range []bitbucket.Identity{awsBuild(), awsDeployment(), awsDeployment("c")} {
		r := judgeAWS(t, awsPolicy(awsTrust("Allow", `{}`)), id)
		var lines []string
		for _, f := range r.Findings {
			if f.Witness == nil { // else it is the whole statement
				lines = append(lines, f.Fix.Text)
			}
		}
		pasted := awsPolicy(awsTrust("Allow", "{"+strings.Join(lines, ", ")+"}"))
		r = judgeAWS(t, pasted, id)
		grave := slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Severity != finding.Note })
		if len(lines) != 2 || r.Verdict != trust.Allow || grave {
			t.Errorf("%s: %q\n%s", r.Verdict, awsFindings(r), pasted)
		}
	}
	policy := awsPolicy(awsTrust("Allow", goodConditions))
	r := judgeAWS(t, `{"Role": {"Arn": "arn:aws-us-gov:iam::999999999999:role/x", "AssumeRolePolicyDocument": `+policy+`}}`, awsBuild())
	want := `"Principal": {"Federated": "arn:aws-us-gov:iam::999999999999:oidc-provider/` + awsIssuer + `"}`
	if r.Verdict != trust.Deny || r.Findings[0].Fix.Text != want {
		t.Errorf("%+v", r.Findings)
	}
}

// Conditions that public code has, each with what is wrong with it.
func TestAWSPublicShapes(t *testing.T) {
	workspace := "{" + awsWorkspace + "}"
	const addresses = `{"IpAddress": {"aws:SourceIp": ["34.199.54.113/32", "34.232.25.90/32"]}}`
	for _, test := range []struct {
		name, condition, rule string
		verdict               trust.Verdict
	}{
		{"the workspace in front (yves-vogl/aws-eks-helm-deploy)", onSubject("StringLike", workspace+":"+inRepository), "aws-sub-shape", trust.Deny},
		{"three stars", onSubject("StringLike", "*:*:*"), "aws-sub-wildcard", trust.Allow},
		{"no braces", onSubject("StringLike", strings.Trim(awsRepo, "{}")+":*"), "aws-sub-braces", trust.Deny},
		{"no subject (dev.to/melcdn)", onlyAudience, "aws-sub-missing", trust.Allow},
		{"terraform-aws-modules' audience", onAudience("ForAllValues:StringEquals", "sts.amazonaws.com"), "aws-aud-mismatch", trust.Deny},
		{"terraform-aws-modules' operator", onAudience("ForAllValues:StringEquals", awsAudience), "aws-forallvalues", trust.Allow},
		{"Bitbucket's addresses", both(addresses, onSubject("StringLike", inRepository)), "aws-repository-wide", trust.Undecided},
		{"an environment's name", onSubject("StringLike", awsRepo+":production:*"), "aws-sub-shape", trust.Deny},
		{"a branch", onSubject("StringLike", awsRepo+":refs/heads/main:*"), "aws-sub-shape", trust.Deny},
		{"GitHub's form", onSubject("StringLike", "repo:acme/shop:ref:refs/heads/main"), "aws-sub-shape", trust.Deny},
		{"the whole subject", onSubject("StringEquals", awsRepo+":"+awsEnv+":{00000000-0000-4000-8000-000000000000}"), "aws-sub-pins-step", trust.Deny},
	} {
		r := judgeAWS(t, awsPolicy(awsTrust("Allow", test.condition)), awsDeployment())
		if r.Verdict != test.verdict || !slices.Contains(awsFindings(r), test.rule) {
			t.Errorf("%s: %s %q", test.name, r.Verdict, awsFindings(r))
		}
	}
}
