package iam

import (
	"strings"
	"testing"

	"bitbucket-oidc/internal/trust"
)

// Each line is a rule of IAM with the page of the IAM User Guide that states it: "operators" is "IAM JSON policy elements:
// Condition operators", "multi" is "Creating a condition with multiple keys or values", "variables" is "IAM policy elements:
// Variables and tags", "keys" is "AWS global condition context keys", "checks" is "IAM Access Analyzer policy check
// reference". A line with "silent" is a case that neither the guide nor the file decides.
func TestAWSConditions(t *testing.T) {
	const queue = "arn:aws:sqs:eu-west-1:1:x/y:z"
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
		{"checks", "Null with ForAllValues, missing: yes", `{"ForAllValues:Null": {"@:branchName": "false"}}`, trust.Yes, nil},
		{"checks", "Null with ForAllValues, not known: yes", `{"ForAllValues:Null": {"aws:SourceVpc": "false"}}`, trust.Yes, nil},
		{"checks", "Null with ForAnyValue: no", `{"ForAnyValue:Null": {"@:sub": "false"}}`, trust.No, nil},
		{"silent", "Null with another value", `{"Null": {"@:sub": "maybe"}}`, trust.Unknown, nil},

		// What the request has.
		{"keys", "no principal's tag", `{"StringEquals": {"aws:PrincipalTag/team": "x"}}`, trust.No, nil},
		{"keys", "no tag of the session", `{"StringEquals": {"aws:RequestTag/team": "x"}}`, trust.No, nil},
		{"keys", "no tags at all", `{"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}}`, trust.No, nil},
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
		{"silent", "the principal's account", `{"StringEquals": {"aws:PrincipalAccount": "123456789012"}}`, trust.Unknown, nil},
		{"silent", "the principal's type", `{"StringEquals": {"aws:PrincipalType": "FederatedUser"}}`, trust.Unknown, nil},
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
		{"silent", "a plain operator and two values", onlyAudience, trust.Unknown, []string{"c"}},
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
		{"variables", "${*} matches a star", `{"ForAnyValue:StringLike": {"@:aud": "https://x${*}y"}}`, trust.Yes, []string{"https://x*y"}},
		{"variables", "${*} matches nothing else", `{"ForAnyValue:StringLike": {"@:aud": "https://x${*}y"}}`, trust.No, []string{"https://xzy"}},
		{"variables", "${?} is a question mark", `{"ForAnyValue:StringLike": {"@:aud": "https://x${?}y"}}`, trust.Yes, []string{"https://x?y"}},
		{"variables", "${$} is a dollar", `{"ForAnyValue:StringEquals": {"@:aud": "${$}{x}"}}`, trust.Yes, []string{"${x}"}},
		{"variables", "a value's own star is none", `{"ForAnyValue:StringLike": {"@:aud": "${@:y, '*'}"}}`, trust.No, nil},
		{"silent", "a key with several values", `{"StringLike": {"@:sub": "${` + awsIssuer + `:aud}"}}`, trust.Unknown, []string{"c"}},
		{"silent", "a default of a key that nobody knows", `{"StringLike": {"@:sub": "${aws:SourceIp, '{'}*"}}`, trust.Unknown, nil},
		{"silent", "a key that nobody knows", `{"StringLike": {"@:sub": "${aws:SourceIp}*"}}`, trust.Unknown, nil},
		{"silent", "a default without quotes", `{"StringLike": {"@:sub": "${aws:username, x}*"}}`, trust.Unknown, nil},
		{"operators, silent", "in Bool", `{"Bool": {"aws:SecureTransport": "${aws:SecureTransport}"}}`, trust.Unknown, nil},
		{"variables", "no brace behind it", `{"ForAnyValue:StringEquals": {"@:aud": "${x"}}`, trust.Yes, []string{"${x"}},

		// Numbers, dates, binary, addresses, ARNs: on audiences, which can be any text.
		{"operators", "NumericEquals", `{"ForAnyValue:NumericEquals": {"@:aud": 42.0}}`, trust.Yes, []string{"42"}},
		{"operators", "IpAddress in a range", `{"ForAnyValue:IpAddress": {"@:aud": "10.0.0.0/8"}}`, trust.Yes, []string{"10.1.2.3"}},
		{"operators", "ArnLike on an ARN", `{"ForAnyValue:ArnLike": {"@:aud": "arn:aws:sqs:*:1:x/*"}}`, trust.Yes, []string{queue}},
		{"operators", "ArnEquals knows wildcards", `{"ForAnyValue:ArnEquals": {"@:aud": "arn:aws:sqs:*:1:x/*"}}`, trust.Yes, []string{queue}},
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

// A reason names what is not known.
func TestAWSReasons(t *testing.T) {
	for _, test := range []struct {
		condition, reason string
		audiences         []string
	}{
		{condition: `{"StringEquals": {"aws:SourceVpc": "x"}}`, reason: "aws:SourceVpc, and neither the policy nor the token contains it."},
		{condition: `{"Null": {"aws:SourceVpc": "true"}}`, reason: "aws:SourceVpc, and neither the policy nor the token contains it."},
		{condition: `{"Null": {"@:sub": "maybe"}}`, reason: "Null with a value that is neither true nor false."},
		{condition: `{"StringEquals": {"@:sub": []}}`, reason: "how AWS treats a condition without values, on which its guide contradicts itself."},
		{
			condition: `{"ForAnyValue:StringEqualsIfExists": {"@:x": "c"}}`,
			reason:    "how ForAnyValue:StringEqualsIfExists treats a missing key, on which AWS's guide contradicts itself.",
		},
		{
			condition: `{"StringEquals": {"@:aud": "c"}}`, audiences: []string{"c"},
			reason: "how StringEquals compares several values of " + awsIssuer + ":aud, which AWS does not say.",
		},
		{
			condition: `{"StringLike": {"@:sub": "${aws:SourceIp}*"}}`,
			reason:    `a policy variable in "${aws:SourceIp}*", whose value neither the policy nor the token contains.`,
		},
		{condition: `{"NumericEquals": {"@:sub": 5}}`, reason: "how NumericEquals compares this value of " + awsIssuer + ":sub, which AWS does not say."},
		{condition: `{"StringLike": {"@:sub": "*", "@:SUB": "x"}}`, reason: "which spelling of " + awsIssuer + ":SUB counts, which AWS does not say."},
	} {
		r := judgeAWS(t, awsPolicy(awsTrust("Allow", test.condition)), awsDeployment(test.audiences...))
		if want := "Undecided: whether Statement[0] lets this identity in depends on " + test.reason; r.Reason != want {
			t.Errorf("%s: %s\nwant %s", test.condition, r.Reason, want)
		}
	}
}

// Comparisons of numbers, dates, booleans and addresses, and of texts that are none of these.
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
		{"IpAddress", "::ffff:203.0.113.7", "203.0.113.0/24", trust.Yes},
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
