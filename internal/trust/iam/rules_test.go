package iam

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// awsConditions is a condition block on a subject and an audience, each with its operator.
func awsConditions(subOperator, sub, audOperator, aud string) string {
	return fmt.Sprintf(`{%q: {"@:aud": %s}, %q: {"@:sub": %s}}`, audOperator, aud, subOperator, sub)
}

// onSubject and onAudience are condition blocks whose other half is right.
func onSubject(operator string, values ...string) string {
	return awsConditions(operator, document.Compact(values), "ForAnyValue:StringEquals", document.Compact(awsAudience))
}

func onAudience(operator string, values ...string) string {
	return awsConditions("StringLike", document.Compact(awsRepo+":"+awsEnv+":*"), operator, document.Compact(values))
}

// Each rule, where it is found and where it is not. The step is on a deployment.
func TestAWSRules(t *testing.T) {
	upper := strings.ToUpper
	bare := func(uuid string) string { return strings.Trim(uuid, "{}") }
	workspace := "{" + awsWorkspace + "}"
	good := awsTrust("Allow", goodConditions)
	replaced := func(old, new string) string { return awsPolicy(strings.Replace(good, old, new, 1)) }
	allow := func(condition string) string { return awsPolicy(awsTrust("Allow", condition)) }
	withDeny := func(allow, deny string) string { return awsPolicy(awsTrust("Allow", allow), awsTrust("Deny", deny)) }
	onlyAudience := `{"StringEquals": {"@:aud": "` + awsAudience + `"}}`

	for _, test := range []struct {
		name, document string
		want           []string // the rules found, in order of their names
		verdict        trust.Verdict
	}{
		{"the right policy", allow(goodConditions), nil, trust.Allow},
		{"the right policy, with ForAnyValue", allow(onSubject("StringLike", awsRepo+":"+awsEnv+":*")), nil, trust.Allow},
		{"another repository's", allow(onSubject("StringLike", awsOther+":"+awsEnv+":*")), nil, trust.Deny},
		{"deployments of any environment", allow(onSubject("StringLike", awsRepo+":*:*")), nil, trust.Allow},
		{"an environment of whatever repository it is in", allow(onSubject("StringLike", "*:"+awsEnv+":*")), nil, trust.Allow},
		{"Null beside it", allow(`{"Null": {"@:sub": false}, ` + goodConditions[1:]), nil, trust.Allow},
		{"an address beside it", allow(`{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, ` + goodConditions[1:]), nil, trust.Undecided},
		{"statements for others", awsPolicy(good, `{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole", "Condition": {"StringLike": {"x.y:sub": "*"}}}`), []string{"aws-not-judged"}, trust.Allow},

		{"aws-sub-missing", allow(onlyAudience), []string{"aws-sub-missing"}, trust.Allow},
		{"no condition", allow(`{}`), []string{"aws-aud-missing", "aws-sub-missing"}, trust.Allow},
		{"only that it is there", allow(`{"Null": {"@:sub": "false"}, ` + onlyAudience[1:]), []string{"aws-sub-missing"}, trust.Allow},
		{"a Deny for others guards", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "`+awsRepo+`:*"}}`), nil, trust.Allow},
		{"a Deny for others, everywhere", awsPolicy(awsTrust("Allow", onlyAudience), strings.Replace(awsTrust("Deny", `{"StringNotLike": {"@:sub": "`+awsRepo+`:*"}}`), `{"Federated": "`+awsARN+`"}`, `{"AWS": "*"}`, 1)), []string{"aws-sub-missing"}, trust.Allow},
		{"a Deny for others that also asks for more", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "`+awsRepo+`:*"}, "NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`), []string{"aws-sub-missing"}, trust.Allow},
		{"a Deny for nobody", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "*"}}`), []string{"aws-sub-missing"}, trust.Allow},
		{"a Deny for one", withDeny(onlyAudience, `{"StringLike": {"@:sub": "`+awsOther+`:*"}}`), []string{"aws-sub-missing"}, trust.Allow},

		{"aws-sub-wildcard", allow(onSubject("StringLike", "*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"two parts", allow(onSubject("StringLike", "*:*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"three parts", allow(onSubject("StringLike", "*:*:*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"in braces", allow(onSubject("StringLike", "{*}:*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"beside a good one", allow(onSubject("StringLike", awsRepo+":"+awsEnv+":*", "*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"question marks", allow(onSubject("StringLike", "{????????-????-4???-????-????????????}:*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"in a set", allow(onSubject("ForAnyValue:StringLike", "*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"but for the end of a UUID", allow(onSubject("StringLike", "*"+awsRepo[len(awsRepo)-2:]+":*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"but for the beginning of the environment's", allow(onSubject("StringLike", "*:"+awsEnv[:3]+"*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"an environment of any repository", allow(onSubject("StringLike", "*:"+awsEnv+":*")), nil, trust.Allow},
		{"itself", allow(onSubject("StringEquals", "${"+awsIssuer+":sub}")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"itself, with a default", allow(onSubject("StringLike", "*${ "+awsIssuer+":SUB , 'x'}*")), []string{"aws-sub-wildcard"}, trust.Allow},
		{"as an ARN", allow(onSubject("ArnLike", "*")), []string{"aws-sub-wildcard"}, trust.Undecided},

		{"aws-sub-boundary", allow(onSubject("StringLike", awsRepo+"*")), []string{"aws-sub-boundary"}, trust.Allow},
		{"inside the UUID", allow(onSubject("StringLike", awsRepo[:5]+"*")), []string{"aws-sub-boundary"}, trust.Allow},
		{"inside, with a colon behind", allow(onSubject("StringLike", awsRepo[:9]+"*}:*")), []string{"aws-sub-boundary"}, trust.Allow},
		{"before the brace", allow(onSubject("StringLike", awsRepo[:37]+"*")), []string{"aws-sub-boundary"}, trust.Allow},
		{"a question mark", allow(onSubject("StringLike", awsRepo+"?*")), []string{"aws-sub-boundary"}, trust.Allow},

		{"aws-sub-braces", allow(onSubject("StringLike", bare(awsRepo)+":*")), []string{"aws-sub-braces"}, trust.Deny},
		{"the environment's", allow(onSubject("StringLike", awsRepo+":"+bare(awsEnv)+":*")), []string{"aws-sub-braces"}, trust.Deny},
		{"one brace", allow(onSubject("StringLike", awsRepo[:37]+":*")), []string{"aws-sub-braces"}, trust.Deny},
		{"doubled", allow(onSubject("StringLike", "{"+awsRepo+"}:*")), []string{"aws-sub-braces"}, trust.Deny},
		{"as a variable", allow(onSubject("StringLike", "$"+awsRepo+":*")), []string{"aws-sub-braces"}, trust.Deny},
		{"percent-encoded", allow(onSubject("StringLike", "%7B"+bare(awsRepo)+"%7D:*")), []string{"aws-sub-braces"}, trust.Deny},
		{"all bare", allow(onSubject("StringEquals", bare(awsRepo)+":"+bare(awsStep))), []string{"aws-sub-braces"}, trust.Deny},
		{"in a Deny", withDeny(goodConditions, onSubject("StringLike", bare(awsOther)+":*")), []string{"aws-sub-braces"}, trust.Allow},

		{"aws-sub-shape", allow(onSubject("StringLike", workspace+":"+awsRepo+":*")), []string{"aws-sub-shape"}, trust.Deny},
		{"the workspace", allow(onSubject("StringLike", workspace+":*")), []string{"aws-sub-shape"}, trust.Deny},
		{"a branch", allow(onSubject("StringLike", awsRepo+":main:*")), []string{"aws-sub-shape"}, trust.Deny},
		{"an environment's name", allow(onSubject("StringLike", awsRepo+":production:*")), []string{"aws-sub-shape"}, trust.Deny},
		{"GitHub's", allow(onSubject("StringLike", "repo:acme/shop:*")), []string{"aws-sub-shape"}, trust.Deny},
		{"no step", allow(onSubject("StringEquals", awsRepo)), []string{"aws-sub-shape"}, trust.Deny},
		{"no step behind the environment", allow(onSubject("StringEquals", awsRepo+":"+awsEnv)), []string{"aws-sub-shape"}, trust.Deny},
		{"the environment alone", allow(onSubject("StringLike", awsEnv+":*")), []string{"aws-sub-shape"}, trust.Deny},
		{"four parts", allow(onSubject("StringLike", "*:*:*:*")), []string{"aws-sub-shape"}, trust.Deny},
		{"a variable without a value", allow(onSubject("StringLike", "${aws:PrincipalTag/repository}:*")), []string{"aws-sub-shape"}, trust.Deny},
		{"beside a good one too", allow(onSubject("StringLike", awsRepo+":"+awsEnv+":*", awsRepo+":main:*")), []string{"aws-sub-shape"}, trust.Allow},

		{"aws-sub-pins-step", allow(onSubject("StringEquals", awsRepo+":"+awsEnv+":"+awsStep)), []string{"aws-sub-pins-step"}, trust.Allow},
		{"off deployments", allow(onSubject("StringEquals", awsRepo+":"+awsStep)), []string{"aws-sub-pins-step"}, trust.Deny},
		{"under StringLike", allow(onSubject("StringLike", awsRepo+":*:"+awsStep)), []string{"aws-sub-pins-step"}, trust.Allow},

		{"aws-equals-wildcard", allow(onSubject("StringEquals", awsRepo+":*")), []string{"aws-equals-wildcard"}, trust.Deny},
		{"ignoring case", allow(onSubject("StringEqualsIgnoreCase", awsRepo+":?"+awsStep[1:])), []string{"aws-equals-wildcard"}, trust.Deny},
		{"of the audience", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/*")), []string{"aws-equals-wildcard"}, trust.Deny},
		{"of the session's name", allow(`{"StringEquals": {"sts:RoleSessionName": "bitbucket-*"}, ` + onSubject("StringLike", awsRepo+":"+awsEnv+":*")[1:]), []string{"aws-equals-wildcard"}, trust.Undecided},
		{"under Deny", withDeny(goodConditions, `{"StringEquals": {"@:sub": "`+awsOther+`:*"}}`), []string{"aws-equals-wildcard"}, trust.Allow},

		{"aws-uuid-case", allow(onSubject("StringLike", upper(awsRepo)+":"+awsEnv+":*")), []string{"aws-uuid-case"}, trust.Deny},
		{"the environment's case", allow(onSubject("StringLike", awsRepo+":"+upper(awsEnv)+":*")), []string{"aws-uuid-case"}, trust.Deny},
		{"ignored", allow(onSubject("StringEqualsIgnoreCase", upper(awsRepo)+":"+awsEnv+":"+awsStep)), []string{"aws-sub-pins-step"}, trust.Allow},
		{"of the audience too", allow(onAudience("StringEquals", upper(awsAudience))), []string{"aws-uuid-case"}, trust.Deny},
		{"of the audience, ignored", allow(onAudience("StringEqualsIgnoreCase", upper(awsAudience))), nil, trust.Allow},

		{"aws-repository-wide", allow(onSubject("StringLike", awsRepo+":*")), []string{"aws-repository-wide"}, trust.Allow},

		{"aws-aud-missing", allow(`{"StringLike": {"@:sub": "` + awsRepo + ":" + awsEnv + `:*"}}`), []string{"aws-aud-missing"}, trust.Allow},
		{"any audience", allow(onAudience("ForAnyValue:StringLike", "*")), []string{"aws-aud-missing"}, trust.Allow},

		{"aws-aud-mismatch", allow(onAudience("StringEquals", "sts.amazonaws.com")), []string{"aws-aud-mismatch"}, trust.Deny},
		{"beside the right one", allow(onAudience("StringEquals", awsAudience, "sts.amazonaws.com")), []string{"aws-aud-mismatch"}, trust.Allow},
		{"with braces", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/"+workspace)), []string{"aws-aud-mismatch"}, trust.Deny},
		{"another workspace's", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/"+bare(awsOther))), []string{"aws-aud-mismatch"}, trust.Deny},
		{"with a slug", allow(onAudience("StringEquals", "ari:cloud:bitbucket::workspace/acme")), []string{"aws-aud-mismatch"}, trust.Deny},
		{"a custom audience", allow(onAudience("StringEquals", "https://gateway.example.com")), nil, trust.Deny},
		{"a pattern that fits", allow(onAudience("ForAnyValue:StringLike", "ari:cloud:bitbucket::workspace/922e*")), nil, trust.Allow},

		{"aws-forallvalues", allow(onAudience("ForAllValues:StringEquals", awsAudience)), []string{"aws-forallvalues"}, trust.Allow},
		{"of the subject", allow(onSubject("ForAllValues:StringLike", awsRepo+":"+awsEnv+":*")), []string{"aws-forallvalues"}, trust.Allow},
		{"with Null", allow(`{"Null": {"@:aud": "false"}, ` + onAudience("ForAllValues:StringEquals", awsAudience)[1:]), nil, trust.Allow},
		{"under Deny, where it is right", withDeny(goodConditions, `{"ForAllValues:StringNotLike": {"@:sub": "`+awsRepo+`:*"}}`), nil, trust.Allow},

		{"aws-fails-open", allow(onSubject("StringLikeIfExists", awsRepo+":"+awsEnv+":*")), []string{"aws-fails-open"}, trust.Allow},
		{"negated", allow(onSubject("StringNotLike", awsOther+":*")), []string{"aws-fails-open"}, trust.Allow},
		{"Null", allow(`{"Null": {"@:sub": "true"}, ` + onlyAudience[1:]), []string{"aws-fails-open"}, trust.Deny},
		{"the audience", allow(onAudience("StringEqualsIfExists", awsAudience)), []string{"aws-fails-open"}, trust.Allow},
		{"the audience, and no subject", allow(`{"StringEqualsIfExists": {"@:aud": "` + awsAudience + `"}}`), []string{"aws-fails-open"}, trust.Allow},
		{"IfExists with Null", allow(`{"Null": {"@:sub": "false"}, ` + onSubject("StringLikeIfExists", awsRepo+":"+awsEnv+":*")[1:]), nil, trust.Allow},
		{"a Deny that spares many", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "`+awsRepo[:2]+`*"}}`), []string{"aws-sub-missing"}, trust.Allow},
		{"a Deny that spares itself", withDeny(onlyAudience, `{"StringNotEquals": {"@:sub": "${`+awsIssuer+`:sub}"}}`), []string{"aws-sub-missing"}, trust.Allow},
		{"a Deny that spares one", withDeny(onlyAudience, `{"StringNotLike": {"@:sub": "`+awsRepo+":"+awsEnv+`:*"}}`), nil, trust.Allow},
		{"the audience that it has", allow(onAudience("StringEquals", "${"+awsIssuer+":aud}")), []string{"aws-aud-missing"}, trust.Allow},
		{"negated beside a guard", allow(`{"StringNotLike": {"@:sub": "` + awsRepo + ":" + awsEnv + `:{0*"}, ` + goodConditions[1:]), nil, trust.Allow},

		{"aws-claim-unavailable", allow(`{"StringEquals": {"@:repositoryUuid": "` + awsRepo + `"}, ` + onSubject("StringLike", awsRepo+":"+awsEnv+":*")[1:]), []string{"aws-claim-unavailable"}, trust.Deny},
		{"negated, of a Deny", withDeny(goodConditions, `{"StringNotEquals": {"@:branchName": "main"}}`), []string{"aws-claim-unavailable"}, trust.Deny},

		{"aws-key-prefix", replaced(`"`+awsIssuer+`:sub`, `"https://`+awsIssuer+`:sub`), []string{"aws-key-prefix"}, trust.Deny},
		{"an ARN", replaced(`"`+awsIssuer+`:sub`, `"`+awsARN+`:sub`), []string{"aws-key-prefix"}, trust.Deny},
		{"a slash", replaced(`"`+awsIssuer+`:aud`, `"`+awsIssuer+`/:aud`), []string{"aws-key-prefix"}, trust.Deny},
		{"another workspace", replaced(`"`+awsIssuer+`:aud`, `"`+strings.Replace(awsIssuer, "acme", "other", 1)+`:aud`), []string{"aws-key-prefix"}, trust.Deny},
		{"no path", replaced(`"`+awsIssuer+`:sub`, `"api.bitbucket.org:sub`), []string{"aws-key-prefix"}, trust.Deny},
		{"no issuer", replaced(`"`+awsIssuer+`:sub`, `"sub`), []string{"aws-key-prefix"}, trust.Deny},
		{"a slash for the colon", replaced(`"`+awsIssuer+`:sub`, `"`+awsIssuer+`/sub`), []string{"aws-key-prefix"}, trust.Deny},
		{"negated, so that it always holds", allow(`{"StringNotLike": {"https://` + awsIssuer + `:sub": "x"}, ` + onlyAudience[1:]), []string{"aws-key-prefix", "aws-sub-missing"}, trust.Allow},
		{"and a claim", allow(`{"StringEquals": {"https://` + awsIssuer + `:branchName": "main"}, ` + onSubject("StringLike", awsRepo+":"+awsEnv+":*")[1:]), []string{"aws-claim-unavailable", "aws-key-prefix"}, trust.Deny},
		{"in capitals", allow(strings.ReplaceAll(expandIssuer(goodConditions), awsIssuer, upper(awsIssuer))), nil, trust.Allow},
		{"of the other provider", replaced(`{"Federated": "`+awsARN+`"}`, `{"Federated": ["`+awsARN+`", "`+strings.Replace(awsARN, "acme", "other", 1)+`"]}`), []string{"aws-not-judged"}, trust.Allow},

		{"aws-principal", replaced("workspaces/acme", "workspaces/other"), []string{"aws-not-judged", "aws-principal"}, trust.Deny},
		{"only a Deny names it", awsPolicy(awsTrust("Deny", `{}`)), []string{"aws-principal"}, trust.Deny},
		{"no statements", awsPolicy(), []string{"aws-principal"}, trust.Deny},

		{"aws-action", replaced("sts:AssumeRoleWithWebIdentity", "sts:AssumeRole"), []string{"aws-action"}, trust.Deny},
		{"NotAction", replaced(`"Action": "sts:AssumeRoleWithWebIdentity"`, `"NotAction": "s3:*"`), []string{"aws-action"}, trust.Allow},
		{"everything", replaced("sts:AssumeRoleWithWebIdentity", "*"), []string{"aws-action"}, trust.Allow},
		{"everything of STS", replaced("sts:AssumeRoleWithWebIdentity", "STS:*"), []string{"aws-action"}, trust.Allow},
		{"a few", replaced(`"sts:AssumeRoleWithWebIdentity"`, `["sts:TagSession", "sts:AssumeRole*"]`), nil, trust.Allow},
		{"a Deny of everything", withDeny(goodConditions, `{"StringLike": {"@:sub": "`+awsOther+`:*"}}`), nil, trust.Allow},

		{"aws-source-ip-only", allow(`{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`), []string{"aws-aud-missing", "aws-source-ip-only", "aws-sub-missing"}, trust.Undecided},
		{"an address and a subject", allow(`{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringLike": {"@:sub": "` + awsRepo + ":" + awsEnv + `:*"}}`), []string{"aws-aud-missing"}, trust.Undecided},

		{"aws-policy-too-long", replaced(`"Action"`, `"Sid": "`+strings.Repeat("x", 2048)+`", "Action"`), []string{"aws-policy-too-long"}, trust.Allow},
		{"far too long", replaced(`"Action"`, `"Sid": "`+strings.Repeat("x", 4096)+`", "Action"`), []string{"aws-policy-too-long"}, trust.Deny},
		{"long with white space only", strings.ReplaceAll(allow(goodConditions), `"Action"`, strings.Repeat(" \n\t", 2000)+`"Action"`), nil, trust.Allow},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := judgeAWS(t, test.document, awsDeployment())
			if got := awsFindings(r); !slices.Equal(got, append([]string{}, test.want...)) {
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

// checkFinding holds a finding to what every finding promises: one sentence, and JSON to paste.
func checkFinding(t *testing.T, f finding.Finding) {
	t.Helper()
	if !strings.HasSuffix(f.Message, ".") || strings.Count(f.Message, ". ") > 0 || strings.ContainsAny(f.Message, "\n\x1b") {
		t.Errorf("%s: not a sentence: %q", f.Rule, f.Message)
	}
	object := f.Fix.Text
	if !strings.HasPrefix(object, "{") {
		object = "{" + object + "}"
	}
	if f.Fix.Kind == finding.JSON && !json.Valid([]byte(object)) || f.Fix.Kind == finding.Shell && !strings.HasPrefix(f.Fix.Text, "aws iam ") || f.Fix.Text == "" {
		t.Errorf("%s: cannot be pasted: %s", f.Rule, f.Fix.Text)
	}
}

func TestAWSSeverities(t *testing.T) {
	for document, want := range map[string]finding.Severity{
		awsPolicy(awsTrust("Allow", onSubject("StringLike", awsRepo+":*"))):                                                              finding.Note,
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
		onAudience("StringEquals", awsAudience):                               {"aws-aud-multivalued"},
		onAudience("StringNotEquals", "x"):                                    {"aws-aud-multivalued", "aws-fails-open"},
		onAudience("ForAllValues:StringLike", "*"):                            {"aws-aud-multivalued", "aws-forallvalues"},
		onAudience("ForAnyValue:StringEquals", awsAudience):                   {},
		onAudience("ForAnyValue:StringEquals", "https://gateway.example.com"): {},
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

// What a fix says to write is right: pasted into the policy, it lets this identity in, and nothing is found.
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
		if r := judgeAWS(t, pasted, id); len(lines) != 2 || r.Verdict != trust.Allow || slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Severity != finding.Note }) {
			t.Errorf("%s: %q\n%s", r.Verdict, awsFindings(r), pasted)
		}
	}
	r := judgeAWS(t, `{"Role": {"Arn": "arn:aws-us-gov:iam::999999999999:role/x", "AssumeRolePolicyDocument": `+awsPolicy(awsTrust("Allow", goodConditions))+`}}`, awsBuild())
	if want := `"Principal": {"Federated": "arn:aws-us-gov:iam::999999999999:oidc-provider/` + awsIssuer + `"}`; r.Verdict != trust.Deny || r.Findings[0].Fix.Text != want {
		t.Errorf("%+v", r.Findings)
	}
}

// The shapes that public code has, with what is wrong with them.
func TestAWSPublicShapes(t *testing.T) {
	workspace := "{" + awsWorkspace + "}"
	for name, test := range map[string]struct {
		condition string
		rule      string
		verdict   trust.Verdict
	}{
		"the workspace in front (yves-vogl/aws-eks-helm-deploy)": {onSubject("StringLike", workspace+":"+awsRepo+":*"), "aws-sub-shape", trust.Deny},
		"three stars":                     {onSubject("StringLike", "*:*:*"), "aws-sub-wildcard", trust.Allow},
		"no braces":                       {onSubject("StringLike", strings.Trim(awsRepo, "{}")+":*"), "aws-sub-braces", trust.Deny},
		"no subject (dev.to/melcdn)":      {`{"StringEquals": {"@:aud": "` + awsAudience + `"}}`, "aws-sub-missing", trust.Allow},
		"terraform-aws-modules' audience": {onAudience("ForAllValues:StringEquals", "sts.amazonaws.com"), "aws-aud-mismatch", trust.Deny},
		"terraform-aws-modules' operator": {onAudience("ForAllValues:StringEquals", awsAudience), "aws-forallvalues", trust.Allow},
		"Bitbucket's addresses":           {`{"IpAddress": {"aws:SourceIp": ["34.199.54.113/32", "34.232.25.90/32"]}, ` + onSubject("StringLike", awsRepo+":*")[1:], "aws-repository-wide", trust.Undecided},
		"an environment's name":           {onSubject("StringLike", awsRepo+":production:*"), "aws-sub-shape", trust.Deny},
		"a branch":                        {onSubject("StringLike", awsRepo+":refs/heads/main:*"), "aws-sub-shape", trust.Deny},
		"GitHub's form":                   {onSubject("StringLike", "repo:acme/shop:ref:refs/heads/main"), "aws-sub-shape", trust.Deny},
		"the whole subject":               {onSubject("StringEquals", awsRepo+":"+awsEnv+":{00000000-0000-4000-8000-000000000000}"), "aws-sub-pins-step", trust.Deny},
	} {
		r := judgeAWS(t, awsPolicy(awsTrust("Allow", test.condition)), awsDeployment())
		if r.Verdict != test.verdict || !slices.Contains(awsFindings(r), test.rule) {
			t.Errorf("%s: %s %q", name, r.Verdict, awsFindings(r))
		}
	}
}
