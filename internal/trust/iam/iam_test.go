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
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// What the tests of the AWS half are about: a step of one repository of a workspace, on a deployment or off.
const (
	awsWorkspace = "922e118c-f34f-4226-a897-0e0afbec553d"
	awsRepo      = "{1de489be-ce6a-42a0-a8c8-eadbf1174ac7}"
	awsEnv       = "{bd715740-c970-486b-b68a-b421ec2a1f8b}"
	awsStep      = "{759de0c6-eaee-4eaa-b7a6-c507eec759a7}"
	awsOther     = "{66666666-5555-4333-8111-aaaabbbbcccc}" // a repository of somebody else
	awsIssuer    = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	awsAudience  = "ari:cloud:bitbucket::workspace/" + awsWorkspace
	awsAccount   = "123456789012"
	awsARN       = "arn:aws:iam::" + awsAccount + ":oidc-provider/" + awsIssuer
)

// awsDeployment is the identity of a deployment step, with custom audiences.
func awsDeployment(audiences ...string) bitbucket.Identity {
	id := awsBuild(audiences...)
	id.Claims.Subject = awsRepo + ":" + awsEnv + ":" + awsStep
	id.Claims.DeploymentEnvironmentUUID = awsEnv
	id.All["sub"], id.All["deploymentEnvironmentUuid"] = id.Claims.Subject, awsEnv
	return id
}

// awsBuild is the identity of a step off deployments.
func awsBuild(audiences ...string) bitbucket.Identity {
	c := oidc.Claims{
		Issuer: "https://" + awsIssuer, Subject: awsRepo + ":" + awsStep, Audience: append([]string{awsAudience}, audiences...),
		RepositoryUUID: awsRepo, WorkspaceUUID: "{" + awsWorkspace + "}", StepUUID: awsStep,
		PipelineUUID: "{0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f}", BranchName: "main",
	}
	return bitbucket.Identity{Claims: c, All: map[string]any{
		"iss": c.Issuer, "sub": c.Subject, "repositoryUuid": awsRepo, "workspaceUuid": c.WorkspaceUUID, "stepUuid": awsStep,
		"pipelineUuid": c.PipelineUUID, "branchName": "main",
	}}
}

// awsTrust is a statement that is right but for its condition.
func awsTrust(effect, condition string) string {
	return fmt.Sprintf(`{"Effect": %q, "Principal": {"Federated": %q}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": %s}`,
		effect, awsARN, expandIssuer(condition))
}

// expandIssuer writes :sub and :aud, and other claims, as the keys that they stand for.
func expandIssuer(s string) string { return strings.ReplaceAll(s, `"@`, `"`+awsIssuer) }

// awsPolicy is a policy of statements.
func awsPolicy(statements ...string) string {
	return `{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ",\n") + `]}`
}

// goodConditions guard by audience, repository and environment.
const goodConditions = `{"StringEquals": {"@:aud": "` + awsAudience + `"}, "StringLike": {"@:sub": "` + awsRepo + ":" + awsEnv + `:*"}}`

// judgeAWS judges a document of one role.
// Roles judges the roles of a document.
func Roles(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error) {
	f, err := document.Read("", data)
	if err != nil {
		return nil, false, nil
	}
	roles, ok, err := Read(f)
	if !ok || err != nil {
		return nil, ok, err
	}
	results := []trust.Result{}
	for _, role := range roles {
		if role.Concerns(id) {
			results = append(results, role.Judge(id, o))
		}
	}
	return results, true, nil
}

// provided judges an OIDC provider.
func provided(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error) {
	f, err := document.Read("", data)
	if err != nil {
		return nil, false, nil
	}
	p, ok := ReadProvider(f)
	if !ok {
		return nil, false, nil
	}
	return []trust.Result{p.Judge(id, o)}, true, nil
}

func judgeAWS(t *testing.T, document string, id bitbucket.Identity) trust.Result {
	t.Helper()
	results, ok, err := Roles([]byte(document), id, trust.Options{Duration: time.Hour})
	if err != nil || !ok || len(results) != 1 {
		t.Fatalf("%d results, %t, %v for\n%s", len(results), ok, err, document)
	}
	return trust.Whole(results[0])
}

// awsFindings lists the rules that a result's text breaks, without what was decided about others, which has a witness.
func awsFindings(r trust.Result) []string {
	rules := []string{}
	for _, f := range r.Findings {
		if f.Witness == nil {
			rules = append(rules, f.Rule)
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

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

// Each line is a rule of IAM's with the page of the IAM User Guide that states it: "operators" is "IAM JSON policy elements:
// Condition operators", "multi" is "Creating a condition with multiple keys or values", "variables" is "IAM policy elements:
// Variables and tags", "keys" is "AWS global condition context keys", "checks" is "IAM Access Analyzer policy check
// reference". A line with "silent" is one where the guide does not decide, or the file does not.
func TestAWSConditions(t *testing.T) {
	sub := awsRepo + ":" + awsEnv + ":" + awsStep
	tests := []struct {
		source, name, condition string
		holds                   trust.Truth
		audiences               []string
	}{
		// How conditions count together.
		{"multi", "no condition", `{}`, trust.Yes, nil},
		{"multi", "all operators and keys must hold", `{"StringEquals": {"@:aud": "` + awsAudience + `"}, "StringLike": {"@:sub": "x"}}`, trust.No, nil},
		{"multi", "values are alternatives", `{"StringEquals": {"@:sub": ["x", "` + sub + `"]}}`, trust.Yes, nil},
		{"multi", "no value may match under negation", `{"StringNotEquals": {"@:sub": ["x", "` + sub + `"]}}`, trust.No, nil},
		{"multi", "none does", `{"StringNotEquals": {"@:sub": ["x", "y"]}}`, trust.Yes, nil},
		{"grammar", "a value may be a list of one", `{"StringEquals": {"@:sub": ["` + sub + `"]}}`, trust.Yes, nil},

		// Names.
		{"condition", "keys have no case", `{"StringEquals": {"` + strings.ToUpper(awsIssuer) + `:SUB": "` + sub + `"}}`, trust.Yes, nil},
		{"interface", "operators have no case", `{"stringLIKE": {"@:sub": "{*"}}`, trust.Yes, nil},
		{"operators", "values have a case", `{"StringEquals": {"@:sub": "` + strings.ToUpper(sub) + `"}}`, trust.No, nil},
		{"operators", "StringLike as well", `{"StringLike": {"@:sub": "` + strings.ToUpper(sub) + `"}}`, trust.No, nil},
		{"operators", "IgnoreCase has none", `{"StringEqualsIgnoreCase": {"@:sub": "` + strings.ToUpper(sub) + `"}}`, trust.Yes, nil},
		{"operators", "nor its negation", `{"StringNotEqualsIgnoreCase": {"@:sub": "` + strings.ToUpper(sub) + `"}}`, trust.No, nil},
		{"checks, silent", "one key in two cases", `{"StringLike": {"@:sub": "*", "@:SUB": "x"}}`, trust.Unknown, nil},
		{"checks", "one key in two cases that agree", `{"StringLike": {"@:sub": "*", "@:SUB": "{*"}}`, trust.Yes, nil},

		// Wildcards.
		{"operators", "* is literal to StringEquals", `{"StringEquals": {"@:sub": "*"}}`, trust.No, nil},
		{"operators", "* crosses colons", `{"StringLike": {"@:sub": "` + awsRepo + `:*"}}`, trust.Yes, nil},
		{"operators", "* may be empty", `{"StringLike": {"@:sub": "*` + sub + `*"}}`, trust.Yes, nil},
		{"operators", "? is one character", `{"StringLike": {"@:sub": "?` + sub[1:] + `"}}`, trust.Yes, nil},
		{"operators", "? is not none", `{"StringLike": {"@:sub": "?` + sub + `"}}`, trust.No, nil},
		{"operators", "the whole value counts", `{"StringLike": {"@:sub": "` + awsRepo + `"}}`, trust.No, nil},
		{"operators", "StringNotLike", `{"StringNotLike": {"@:sub": "` + awsRepo + `:*"}}`, trust.No, nil},

		// Missing keys.
		{"operators", "missing: no", `{"StringLike": {"@:branchName": "*"}}`, trust.No, nil},
		{"operators", "missing, negated: yes", `{"StringNotLike": {"@:branchName": "*"}}`, trust.Yes, nil},
		{"operators", "missing, ARN negated: yes", `{"ArnNotLike": {"aws:PrincipalArn": "*"}}`, trust.Yes, nil},
		{"operators", "missing, number negated: yes", `{"NumericNotEquals": {"aws:MultiFactorAuthAge": 5}}`, trust.Yes, nil},
		{"operators", "missing, number: no", `{"NumericLessThan": {"aws:MultiFactorAuthAge": 5}}`, trust.No, nil},
		{"operators", "missing, date negated: yes", `{"DateNotEquals": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}`, trust.Yes, nil},
		{"operators", "missing, Bool: no", `{"Bool": {"aws:MultiFactorAuthPresent": false}}`, trust.No, nil},
		{"operators", "missing, BinaryEquals: no", `{"BinaryEquals": {"@:x": "eA=="}}`, trust.No, nil},
		{"operators", "missing, IpAddress: no", `{"IpAddress": {"@:x": "0.0.0.0/0"}}`, trust.No, nil},
		{"operators", "missing, NotIpAddress: yes", `{"NotIpAddress": {"@:x": "0.0.0.0/0"}}`, trust.Yes, nil},
		{"operators", "missing, IfExists: yes", `{"StringEqualsIfExists": {"@:branchName": "x"}}`, trust.Yes, nil},
		{"operators", "there, IfExists: as without", `{"StringEqualsIfExists": {"@:sub": "x"}}`, trust.No, nil},
		{"operators", "Null true: missing", `{"Null": {"@:branchName": "true"}}`, trust.Yes, nil},
		{"operators", "Null true: there", `{"Null": {"@:sub": true}}`, trust.No, nil},
		{"operators", "Null false: there", `{"Null": {"@:sub": "False"}}`, trust.Yes, nil},
		{"operators", "Null false: missing", `{"Null": {"@:branchName": "false"}}`, trust.No, nil},
		{"checks", "Null with ForAllValues: yes", `{"ForAllValues:Null": {"@:sub": "true"}}`, trust.Yes, nil},
		{"checks", "Null with ForAnyValue: no", `{"ForAnyValue:Null": {"@:sub": "false"}}`, trust.No, nil},
		{"silent", "Null with another value", `{"Null": {"@:sub": "maybe"}}`, trust.Unknown, nil},

		// What the request has.
		{"keys", "no principal's tag", `{"StringEquals": {"aws:PrincipalTag/team": "x"}}`, trust.No, nil},
		{"keys", "no tag of the session", `{"StringEquals": {"aws:RequestTag/team": "x"}}`, trust.No, nil},
		{"keys", "no organisation", `{"StringNotEquals": {"aws:PrincipalOrgID": "o-x"}}`, trust.Yes, nil},
		{"keys", "no service in between", `{"StringEquals": {"aws:SourceAccount": "123456789012"}}`, trust.No, nil},
		{"STS endpoints", "always TLS", `{"Bool": {"aws:SecureTransport": "true"}}`, trust.Yes, nil},
		{"keys", "no external id", `{"StringEquals": {"sts:ExternalId": "x"}}`, trust.No, nil},
		{"service authorization", "no source identity", `{"StringLike": {"sts:SourceIdentity": "*"}}`, trust.No, nil},
		{"service authorization", "no other service's key", `{"StringLike": {"s3:prefix": "*"}}`, trust.No, nil},
		{"keys", "another provider's key", `{"StringLike": {"token.actions.githubusercontent.com:sub": "*"}}`, trust.No, nil},
		{"silent", "the caller's address", `{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}`, trust.Unknown, nil},
		{"silent", "not the caller's address", `{"NotIpAddress": {"AWS:sourceIP": "10.0.0.0/8"}}`, trust.Unknown, nil},
		{"silent", "whether there is a VPC", `{"Null": {"aws:SourceVpc": "true"}}`, trust.Unknown, nil},
		{"silent", "the endpoint", `{"StringEquals": {"aws:SourceVpce": "vpce-1"}}`, trust.Unknown, nil},
		{"silent", "the time", `{"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}`, trust.Unknown, nil},
		{"silent", "the time in seconds", `{"NumericLessThan": {"aws:EpochTime": "4070908800"}}`, trust.Unknown, nil},
		{"silent", "the session's name", `{"StringLike": {"sts:RoleSessionName": "bitbucket-*"}}`, trust.Unknown, nil},
		{"silent", "the region", `{"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}`, trust.Unknown, nil},
		{"silent", "the caller's program", `{"StringLike": {"aws:UserAgent": "*"}}`, trust.Unknown, nil},
		{"silent", "the role's tags", `{"StringEquals": {"iam:ResourceTag/team": "x"}}`, trust.Unknown, nil},
		{"logic", "a no outweighs what is unknown", `{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}, "StringLike": {"@:sub": "x"}}`, trust.No, nil},

		// Sets.
		{"multi", "ForAnyValue: one value", `{"ForAnyValue:StringEquals": {"@:aud": ["x", "` + awsAudience + `"]}}`, trust.Yes, nil},
		{"multi", "ForAllValues: one value", `{"ForAllValues:StringEquals": {"@:aud": ["x", "` + awsAudience + `"]}}`, trust.Yes, nil},
		{"multi", "ForAnyValue: one of two", `{"ForAnyValue:StringEquals": {"@:aud": "` + awsAudience + `"}}`, trust.Yes, []string{"c"}},
		{"multi", "ForAllValues: one of two", `{"ForAllValues:StringEquals": {"@:aud": "` + awsAudience + `"}}`, trust.No, []string{"c"}},
		{"multi", "ForAllValues: both", `{"ForAllValues:StringLike": {"@:aud": ["c", "ari:*"]}}`, trust.Yes, []string{"c"}},
		{"multi", "ForAnyValue negated: one is another", `{"ForAnyValue:StringNotEquals": {"@:aud": "c"}}`, trust.Yes, []string{"c"}},
		{"multi", "ForAllValues negated: one is", `{"ForAllValues:StringNotEquals": {"@:aud": "c"}}`, trust.No, []string{"c"}},
		{"multi", "ForAllValues: missing", `{"ForAllValues:StringEquals": {"@:x": "c"}}`, trust.Yes, nil},
		{"multi", "ForAnyValue: missing", `{"ForAnyValue:StringEquals": {"@:x": "c"}}`, trust.No, nil},
		{"multi", "ForAnyValue negated: missing", `{"ForAnyValue:StringNotEquals": {"@:x": "c"}}`, trust.No, nil},
		{"operators, multi", "ForAnyValue and IfExists: missing", `{"ForAnyValue:StringEqualsIfExists": {"@:x": "c"}}`, trust.Unknown, nil}, // true, and false
		{"multi", "ForAllValues and IfExists: missing", `{"ForAllValues:StringEqualsIfExists": {"@:x": "c"}}`, trust.Yes, nil},
		{"silent", "a plain operator and two values", `{"StringEquals": {"@:aud": "` + awsAudience + `"}}`, trust.Unknown, []string{"c"}},
		{"silent", "negated too", `{"StringNotLike": {"@:aud": "*"}}`, trust.Unknown, []string{"c"}},
		{"operators", "Null and two values", `{"Null": {"@:aud": "false"}}`, trust.Yes, []string{"c"}},
		{"checks", "ForAnyValue without values", `{"ForAnyValue:StringEquals": {"@:sub": []}}`, trust.No, nil},
		{"checks", "ForAllValues without values", `{"ForAllValues:StringEquals": {"@:sub": []}}`, trust.No, nil},
		{"checks", "ForAllValues without values, missing", `{"ForAllValues:StringEquals": {"@:x": []}}`, trust.Yes, nil},
		{"checks", "IfExists without values", `{"StringEqualsIfExists": {"@:sub": []}}`, trust.No, nil},
		{"checks, silent", "without values", `{"StringEquals": {"@:sub": []}}`, trust.Unknown, nil},

		// Variables.
		{"variables", "a key's value", `{"StringEquals": {"@:sub": "${` + awsIssuer + `:SUB}"}}`, trust.Yes, nil},
		{"variables", "with text around it", `{"StringLike": {"@:sub": "*{${` + awsIssuer + `:x, '759de0c6'}-*"}}`, trust.Yes, nil},
		{"variables", "a default that is not needed", `{"StringEquals": {"@:sub": "${` + awsIssuer + `:sub, 'x'}"}}`, trust.Yes, nil},
		{"variables", "no value", `{"StringLike": {"@:sub": "${aws:username}*"}}`, trust.No, nil},
		{"variables", "no value, negated", `{"StringNotLike": {"@:sub": "${aws:username}*"}}`, trust.Yes, nil},
		{"variables", "no value, and another value", `{"StringLike": {"@:sub": ["${aws:username}", "{*"]}}`, trust.Yes, nil},
		{"variables", "${*} is a star", `{"StringLike": {"@:aud": "*${*}"}}`, trust.No, nil},
		{"variables", "${?} is a question mark", `{"ForAnyValue:StringLike": {"@:aud": "https://x${?}y"}}`, trust.Yes, []string{"https://x?y"}},
		{"variables", "${$} is a dollar", `{"ForAnyValue:StringEquals": {"@:aud": "${$}{x}"}}`, trust.Yes, []string{"${x}"}},
		{"variables", "a value's own star is none", `{"ForAnyValue:StringLike": {"@:aud": "${@:y, '*'}"}}`, trust.No, nil},
		{"silent", "a key with several values", `{"StringLike": {"@:sub": "${` + awsIssuer + `:aud}"}}`, trust.Unknown, []string{"c"}},
		{"silent", "a key that nobody knows", `{"StringLike": {"@:sub": "${aws:SourceIp}*"}}`, trust.Unknown, nil},
		{"silent", "a default without quotes", `{"StringLike": {"@:sub": "${aws:username, x}*"}}`, trust.Unknown, nil},
		{"operators, silent", "in Bool", `{"Bool": {"aws:SecureTransport": "${aws:SecureTransport}"}}`, trust.Unknown, nil},
		{"variables", "no brace behind it", `{"ForAnyValue:StringEquals": {"@:aud": "${x"}}`, trust.Yes, []string{"${x"}},

		// Numbers, dates, binary, addresses, ARNs: on audiences, which can be any text.
		{"operators", "NumericEquals", `{"ForAnyValue:NumericEquals": {"@:aud": 42.0}}`, trust.Yes, []string{"42"}},
		{"operators", "IpAddress in a range", `{"ForAnyValue:IpAddress": {"@:aud": "10.0.0.0/8"}}`, trust.Yes, []string{"10.1.2.3"}},
		{"operators", "ArnLike on an ARN", `{"ForAnyValue:ArnLike": {"@:aud": "arn:aws:sqs:*:1:x/*"}}`, trust.Yes, []string{"arn:aws:sqs:eu-west-1:1:x/y:z"}},
		{"operators", "ArnEquals knows wildcards", `{"ForAnyValue:ArnEquals": {"@:aud": "arn:aws:sqs:*:1:x/*"}}`, trust.Yes, []string{"arn:aws:sqs:eu-west-1:1:x/y:z"}},
		{"operators", "* does not leave a part", `{"ForAnyValue:ArnLike": {"@:aud": "arn:aws:s:*:111122223333:finance/*"}}`, trust.No,
			[]string{"arn:aws:s:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"}},
		{"silent", "ArnLike on an ARI", `{"ArnLike": {"@:aud": "` + awsAudience + `"}}`, trust.Unknown, nil},
		{"logic", "ArnLike on an ARI that is another", `{"ArnLike": {"@:aud": "arn:aws:*"}}`, trust.No, nil},
		{"silent", "ArnNotLike on a subject", `{"ArnNotLike": {"@:sub": "arn:aws:*"}}`, trust.Unknown, nil},
		{"silent", "ForAllValues:ArnLike on a subject", `{"ForAllValues:ArnLike": {"@:sub": "arn:aws:*"}}`, trust.Unknown, nil},
		{"silent", "a subject is no number", `{"NumericEquals": {"@:sub": 5}}`, trust.Unknown, nil},
		{"silent", "BinaryEquals on a string of these bytes", `{"ForAnyValue:BinaryEquals": {"@:aud": "YQ=="}}`, trust.Unknown, []string{"a"}},
		{"silent", "BinaryEquals on a string of this base64", `{"ForAnyValue:BinaryEquals": {"@:aud": "YQ=="}}`, trust.Unknown, []string{"YQ=="}},
		{"operators", "BinaryEquals on another", `{"BinaryEquals": {"@:sub": "YQ=="}}`, trust.No, nil},
		{"silent", "BinaryEquals without base64", `{"BinaryEquals": {"@:sub": "%"}}`, trust.Unknown, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id := awsDeployment(test.audiences...)
			r := judgeAWS(t, awsPolicy(awsTrust("Allow", test.condition)), id)
			want := map[trust.Truth]trust.Verdict{trust.Yes: trust.Allow, trust.No: trust.Deny, trust.Unknown: trust.Undecided}[test.holds]
			if r.Verdict != want {
				t.Errorf("%s: %s, want %s (%s): %s", test.condition, r.Verdict, want, test.source, r.Reason)
			}
			if got := r.Steps[0].Matches; (got == nil) != (test.holds == trust.Unknown) || got != nil && *got != (test.holds == trust.Yes) {
				t.Errorf("matches: %v", got)
			}
		})
	}
}

// The order of numbers and dates, one line for each operator, and what is not a number or a date.
func TestAWSOrder(t *testing.T) {
	tests := []struct {
		operator, have, want string
		holds                trust.Truth
	}{
		{"NumericEquals", "42", "42.0", trust.Yes},
		{"NumericEquals", "0.1", "0.10000000000000000001", trust.No},
		{"NumericNotEquals", "42", "43", trust.Yes},
		{"NumericLessThan", "9", "10", trust.Yes},
		{"NumericLessThan", "10", "10", trust.No},
		{"NumericLessThanEquals", "10", "10", trust.Yes},
		{"NumericGreaterThan", "-1", "-2", trust.Yes},
		{"NumericGreaterThan", "-2", "-2", trust.No},
		{"NumericGreaterThanEquals", "-2", "-2", trust.Yes},
		{"NumericEquals", "1/2", "0.5", trust.Unknown},
		{"NumericEquals", "1", "1e0", trust.Unknown},
		{"NumericEquals", "1", strings.Repeat("1", 101), trust.Unknown},
		{"DateEquals", "2026-02-01T00:00:00Z", "2026-02-01T01:00:00+01:00", trust.Yes},
		{"DateEquals", "2026-02-01", "2026-02-01T00:00Z", trust.Yes},
		{"DateNotEquals", "2026-02-01", "2026-02", trust.No},
		{"DateLessThan", "2026-02-01T00:00:00Z", "2026-02-01T00:00:00.5Z", trust.Yes},
		{"DateLessThanEquals", "1769904000", "2026-02-01T00:00:00Z", trust.Yes},
		{"DateGreaterThan", "2026-02-02", "1769904000", trust.Yes},
		{"DateGreaterThanEquals", "2026-01-31", "2026-02-01", trust.No},
		{"DateEquals", "2026", "2026", trust.Unknown}, // a year, or half an hour after midnight in 1970
		{"DateEquals", "tomorrow", "2026-02-01", trust.Unknown},
		{"Bool", "TRUE", "true", trust.Yes},
		{"Bool", "x", "true", trust.No},
		{"IpAddress", "203.0.113.7", "203.0.113.0/24", trust.Yes},
		{"IpAddress", "203.0.113.7", "203.0.113.7", trust.Yes},
		{"IpAddress", "203.0.113.7", "203.0.113.9/24", trust.Yes},
		{"IpAddress", "203.0.114.7", "203.0.113.0/24", trust.No},
		{"IpAddress", "2001:db8:1234:5678::1", "2001:DB8:1234:5678::/64", trust.Yes},
		{"IpAddress", "2001:db8::1", "2001:db8:ffff::", trust.Yes}, // /32, as the guide has it
		{"NotIpAddress", "203.0.113.7", "203.0.113.0/24", trust.No},
		{"NotIpAddress", "203.0.114.7", "203.0.113.0/24", trust.Yes},
		{"IpAddress", "203.0.113.7", "203.0.113.0/33", trust.Unknown},
	}
	for _, test := range tests {
		op, ok := parseOperator(test.operator)
		if !ok {
			t.Fatalf("%s is no operator", test.operator)
		}
		got := op.match(literal(test.want), test.have)
		if op.negated {
			got = got.Not()
		}
		if got != test.holds {
			t.Errorf("%s %q %q: %d, want %d", test.have, test.operator, test.want, got, test.holds)
		}
	}
}

// Variables are text before version 2012-10-17 (IAM User Guide, "IAM policy elements: Variables and tags").
func TestAWSVersions(t *testing.T) {
	condition := `{"StringLike": {"@:sub": "${` + awsIssuer + `:sub}"}}`
	for version, want := range map[string]trust.Verdict{`"Version": "2012-10-17", `: trust.Allow, `"Version": "2008-10-17", `: trust.Deny, "": trust.Deny} {
		document := `{` + version + `"Statement": ` + awsTrust("Allow", condition) + `}`
		if r := judgeAWS(t, document, awsBuild()); r.Verdict != want {
			t.Errorf("%s: %s: %s", version, r.Verdict, r.Reason)
		}
	}
}

// Source: IAM User Guide, "Policy evaluation logic".
func TestAWSDecision(t *testing.T) {
	good, bad, open := awsTrust("Allow", goodConditions), awsTrust("Allow", `{"StringLike": {"@:sub": "x"}}`), awsTrust("Allow", `{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}`)
	deny, openDeny := awsTrust("Deny", `{"StringLike": {"@:sub": "{*"}}`), awsTrust("Deny", `{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}`)
	idle := awsTrust("Deny", `{"StringLike": {"@:sub": "x"}}`)
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

// Source: IAM User Guide, "IAM JSON policy elements: Action": names have no case, and wildcards.
func TestAWSActions(t *testing.T) {
	for action, want := range map[string]trust.Verdict{
		`"sts:AssumeRoleWithWebIdentity"`: trust.Allow, `"STS:assumerolewithwebidentity"`: trust.Allow, `["sts:TagSession", "sts:AssumeRoleWithWebIdentity"]`: trust.Allow,
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

// What IAM would not store, with the rule that is about it, if one is.
func TestAWSRefusals(t *testing.T) {
	good := awsTrust("Allow", goodConditions)
	replace := func(old, new string) string { return awsPolicy(strings.Replace(good, old, new, 1)) }
	for _, test := range []struct{ name, rule, document, path string }{
		{"everyone", "aws-principal", replace(`{"Federated": "`+awsARN+`"}`, `"*"`), "Statement[0].Principal"},
		{"a principal that is no object", "aws-principal", replace(`{"Federated": "`+awsARN+`"}`, `"`+awsARN+`"`), "Statement[0].Principal"},
		{"a kind of principal", "aws-principal", replace(`"Federated"`, `"federated"`), "Statement[0].Principal"},
		{"a provider with a wildcard", "aws-principal", replace(awsIssuer+`"}`, `*"}`), "Statement[0].Principal"},
		{"every provider", "aws-principal", replace(awsARN, "*"), "Statement[0].Principal"},
		{"no principal", "aws-principal", replace(`"Principal": {"Federated": "`+awsARN+`"},`, ``), "Statement[0].Principal"},
		{"NotPrincipal", "aws-principal", replace(`"Principal"`, `"NotPrincipal"`), "Statement[0].NotPrincipal"},
		{"both", "aws-principal", replace(`"Action"`, `"NotPrincipal": {"AWS": "1"}, "Action"`), "Statement[0].NotPrincipal"},
		{"Resource", "aws-principal", replace(`"Action"`, `"Resource": "*", "Action"`), "Statement[0].Resource"},
		{"NotResource", "aws-principal", replace(`"Action"`, `"NotResource": "*", "Action"`), "Statement[0].NotResource"},
		{"a Deny with Resource", "aws-principal", awsPolicy(good, `{"Effect": "Deny", "Principal": {"AWS": "1"}, "Action": "*", "Resource": "*"}`), "Statement[1].Resource"},
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

// A role's policy may be an object or a string, and a role alone, in get-role's wrapping, or in a list.
func TestAWSDocuments(t *testing.T) {
	policy := awsPolicy(awsTrust("Allow", goodConditions))
	quoted := document.Compact(policy)
	encoded := strings.NewReplacer(`{`, `%7B`, `}`, `%7D`, `"`, `%22`, ` `, `%20`, "\n", `%0A`, `:`, `%3A`, `,`, `%2C`, `/`, `%2F`, `[`, `%5B`, `]`, `%5D`, `*`, `%2A`).Replace(policy)
	role := func(document string) string {
		return `{"Path": "/", "RoleName": "deploy", "Arn": "arn:aws:iam::123456789012:role/deploy", "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": ` + document + `}`
	}
	for name, document := range map[string]string{
		"get-role":                 `{"Role": ` + role(policy) + `}`,
		"get-role with a string":   `{"Role": ` + role(quoted) + `}`,
		"get-role, URL-encoded":    `{"Role": ` + role(`"`+encoded+`"`) + `}`,
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
		"nothing": ``, "not JSON": `{`, "a list": `[]`, "another kind": `{"bindings": []}`, "an empty object": `{}`, "a text": `"x"`, "another Version": `{"Version": 3}`,
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

// Of a list, only roles that trust a workspace of Bitbucket are judged; each by itself.
func TestAWSListsBitbucketRoles(t *testing.T) {
	role := func(name, policy string) string {
		return fmt.Sprintf(`{"RoleName": %q, "Arn": "arn:aws:iam::123456789012:role/x/%s", "AssumeRolePolicyDocument": %s}`, name, name, policy)
	}
	good := awsPolicy(awsTrust("Allow", goodConditions))
	document := `{"Roles": [` + strings.Join([]string{
		role("lambda", awsPolicy(`{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}`)),
		role("good", good),
		role("github", awsPolicy(`{"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"}, "Action": "sts:AssumeRoleWithWebIdentity"}`)),
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

func TestAWSProvider(t *testing.T) {
	provider := func(url string, clients ...string) string {
		return fmt.Sprintf(`{"Url": %q, "ClientIDList": %s, "ThumbprintList": [], "CreateDate": "2026-01-01T00:00:00+00:00"}`, url, document.Compact(append([]string{}, clients...)))
	}
	for _, test := range []struct {
		document string
		verdict  trust.Verdict
		rules    []string
	}{
		{provider(awsIssuer, awsAudience), trust.Allow, nil},
		{provider("https://"+awsIssuer, "x", awsAudience), trust.Allow, nil},
		{provider(awsIssuer, "sts.amazonaws.com"), trust.Deny, []string{"aws-aud-mismatch"}},
		{provider(awsIssuer), trust.Deny, []string{"aws-aud-mismatch"}},
		{provider(awsIssuer+"/", awsAudience), trust.Deny, []string{"aws-principal"}},
		{provider(strings.Replace(awsIssuer, "acme", "Acme", 1), awsAudience), trust.Deny, []string{"aws-principal"}},
		{provider("token.actions.githubusercontent.com", "sts.amazonaws.com"), trust.Deny, []string{"aws-aud-mismatch", "aws-principal"}},
	} {
		results, ok, err := provided([]byte(test.document), awsBuild(), trust.Options{})
		if !ok || err != nil || len(results) != 1 {
			t.Fatal(results, ok, err)
		}
		r := results[0]
		if r.Verdict != test.verdict || !slices.Equal(awsFindings(r), append([]string{}, test.rules...)) || r.Kind != "aws-provider" {
			t.Errorf("%s: %+v", test.document, r)
		}
	}
	for _, document := range []string{`{}`, `{`, `{"Url": 5, "ClientIDList": []}`, `{"Url": "x"}`} {
		if _, ok, _ := provided([]byte(document), awsBuild(), trust.Options{}); ok {
			t.Errorf("%s is taken for a provider", document)
		}
	}
}

// The output has lists where there is nothing, and null only for what is unknown.
func TestAWSOutput(t *testing.T) {
	r := judgeAWS(t, awsPolicy(awsTrust("Allow", `{"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", 5, true]}}`), `{"Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "sts:AssumeRole"}`), awsBuild())
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
	if want := "Undecided: whether Statement[0] lets this identity in depends on aws:SourceIp, and neither the policy nor the token contains it."; r.Reason != want {
		t.Errorf("reason %q", r.Reason)
	}
}
