package iam

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// randomCondition is a condition block of operators, keys and values that policies have, also wrong ones.
func randomCondition(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	blocks := map[string]map[string][]string{}
	for range r.IntN(3) {
		operator := pick("", "", "ForAllValues:", "ForAnyValue:") + pick("StringEquals", "StringNotEquals", "StringLike", "StringLike",
			"StringNotLike", "StringEqualsIgnoreCase", "ArnLike", "Null", "IpAddress", "Bool")
		if operator != "Null" && r.IntN(4) == 0 {
			operator = strings.TrimSuffix(operator, "IfExists") + "IfExists"
		}
		if strings.HasSuffix(operator, "NullIfExists") {
			operator = "Null"
		}
		var values []string
		for range 1 + r.IntN(2) {
			values = append(values, pick(inRepository, inEnvironment, awsRepo+":"+awsEnv+":"+awsStep, "*", "{1de4*", awsOther+":*",
				awsAudience, "sts.amazonaws.com", "ari:*", "true", "false", "${"+awsIssuer+":sub}", "10.0.0.0/8"))
		}
		key := pick(awsIssuer+":sub", awsIssuer+":sub", awsIssuer+":aud", awsIssuer+":branchName", "aws:SourceIp", "aws:PrincipalTag/x")
		if blocks[operator] == nil {
			blocks[operator] = map[string][]string{}
		}
		blocks[operator][key] = values
	}
	return document.Compact(blocks)
}

// A Deny never turns a refusal into anything else, and an Allow never turns an admission into anything else.
func TestAWSStatementsAreMonotonic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[trust.Verdict]int{}
	for range 500 {
		statements := []string{awsTrust("Allow", randomCondition(r))}
		if r.IntN(2) == 0 {
			statements = append(statements, awsTrust("Deny", randomCondition(r)))
		}
		before := judgeAWS(t, awsPolicy(statements...), awsDeployment())
		seen[before.Verdict]++

		at := r.IntN(len(statements) + 1)
		denied := judgeAWS(t, awsPolicy(slices.Insert(slices.Clone(statements), at, awsTrust("Deny", randomCondition(r)))...), awsDeployment())
		if rank(denied.Verdict) > rank(before.Verdict) {
			t.Fatalf("a Deny turned %s into %s: %s", before.Verdict, denied.Verdict, awsPolicy(statements...))
		}
		allowed := judgeAWS(t, awsPolicy(slices.Insert(slices.Clone(statements), at, awsTrust("Allow", randomCondition(r)))...), awsDeployment())
		if rank(allowed.Verdict) < rank(before.Verdict) {
			t.Fatalf("an Allow turned %s into %s: %s", before.Verdict, allowed.Verdict, awsPolicy(statements...))
		}
	}
	if len(seen) != 3 {
		t.Errorf("not every verdict came up: %v", seen)
	}
}

func rank(v trust.Verdict) int {
	return slices.Index([]trust.Verdict{trust.Deny, trust.Undecided, trust.Allow}, v)
}

// A pattern with a character instead of a wildcard, one value less, or one condition more never allows more.
func TestAWSNarrowerNeverAllowsMore(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		id := awsDeployment()
		if r.IntN(2) == 0 {
			id = awsBuild()
		}
		wide := []rune(id.Claims.Subject)
		for range r.IntN(6) {
			at := r.IntN(len(wide))
			wide = slices.Replace(wide, at, min(len(wide), at+r.IntN(40)), []rune("*?*x")[r.IntN(4)])
			if len(wide) == 0 {
				wide = []rune("*")
			}
		}
		stars := []int{}
		for i, c := range wide {
			if c == '*' || c == '?' {
				stars = append(stars, i)
			}
		}
		if len(stars) == 0 {
			continue
		}
		at := stars[r.IntN(len(stars))]
		narrow := string(wide[:at]) + []string{"{", "a", ":", "?"}[r.IntN(4)] + string(wide[at+1:])
		judge := func(values ...string) trust.Verdict {
			return judgeAWS(t, awsPolicy(awsTrust("Allow", onSubject("StringLike", values...))), id).Verdict
		}
		if judge(narrow) == trust.Allow && judge(string(wide)) != trust.Allow {
			t.Fatalf("%q lets in, and %q does not", narrow, string(wide))
		}
		if judge(string(wide)) == trust.Allow && judge("x", string(wide)) != trust.Allow {
			t.Fatalf("%q beside another value does not let in", string(wide))
		}
		condition := randomCondition(r)
		if condition != "{}" {
			both := judgeAWS(t, awsPolicy(awsTrust("Allow", condition)), id).Verdict
			none := judgeAWS(t, awsPolicy(awsTrust("Allow", "{}")), id).Verdict
			if rank(both) > rank(none) {
				t.Fatalf("%s lets in more than no condition", condition)
			}
		}
	}
}

// awsSeeds are documents to start fuzzing from.
func awsSeeds() []string {
	deny := awsTrust("Deny", `{"StringNotLike": {"@:sub": ["{1de4*", "${aws:username, 'x'}"]}, "Null": {"@:aud": true}}`)
	policy := awsPolicy(awsTrust("Allow", goodConditions), deny)
	return []string{
		policy,
		`{"Role": {"RoleName": "x", "Arn": "arn:aws:iam::1:role/x", "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": ` + policy + `}}`,
		`{"Roles": [{"AssumeRolePolicyDocument": ` + document.Compact(policy) + `}]}`,
		`{"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "NotAction": [], "Condition": {"NumericLessThan": {"aws:EpochTime": 1e400}}}}`,
		`{"Url": "x", "ClientIDList": [1]}`,
	}
}

// Whatever a document holds, a judgement keeps what the output promises.
func FuzzAWSRoles(f *testing.F) {
	for _, seed := range awsSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		results, ok, err := Roles(data, awsDeployment(), trust.Options{Duration: time.Hour})
		if results2, isProvider, providerErr := provided(data, awsDeployment(), trust.Options{}); isProvider && !ok {
			results, ok, err = results2, isProvider, providerErr
		}
		if !ok && (results != nil || err != nil) || err != nil && results != nil {
			t.Fatalf("%d results, %t, %v", len(results), ok, err)
		}
		again, _, _ := Roles(data, awsDeployment(), trust.Options{Duration: time.Hour})
		for i, r := range results {
			checkResult(t, r)
			if r.Kind == "aws-role" && document.Compact(r) != document.Compact(again[i]) {
				t.Errorf("judged otherwise the second time: %s", document.Compact(again[i]))
			}
		}
	})
}

func checkResult(t *testing.T, r trust.Result) {
	t.Helper()
	if r.Reason == "" || rank(r.Verdict) < 0 {
		t.Errorf("%+v", r)
	}
	allows := func(s trust.Step) bool { return s.Effect == "Allow" && s.Matches != nil && *s.Matches }
	if r.Verdict == trust.Allow && r.Kind == "aws-role" && !slices.ContainsFunc(r.Steps, allows) {
		t.Errorf("allowed by nothing: %s", document.Compact(r))
	}
	for _, f := range r.Findings {
		checkFinding(t, f)
	}
}

// An account has 5,000 roles at most (IAM and AWS STS quotas); some people join several.
func TestAWSIsFast(t *testing.T) {
	var list strings.Builder
	list.WriteString(`{"Roles": [`)
	policy, err := json.MarshalIndent(json.RawMessage(awsPolicy(awsTrust("Allow", goodConditions))), "            ", "    ")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `
        {
            "Path": "/",
            "RoleName": "role-%d",
            "RoleId": "AROAEXAMPLE",
            "Arn": "arn:aws:iam::123456789012:role/role-%d",
            "CreateDate": "2026-01-01T00:00:00+00:00",
            "AssumeRolePolicyDocument": %s,
            "MaxSessionDuration": 3600
        }`, i, i, policy)
	}
	list.WriteString(`]}`)
	data := []byte(list.String())

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := processorTime(t)
	results, _, err := Roles(data, awsDeployment(), trust.Options{})
	took := processorTime(t) - start
	runtime.ReadMemStats(&after)
	if err != nil || len(results) != 10_000 || results[9999].Verdict != trust.Allow {
		t.Fatal(len(results), err)
	}
	allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
	t.Logf("%d MB in %s, %d MB allocated", len(data)>>20, took, allocated)
	if took > patience() || allocated > 400 && !raceDetector() {
		t.Errorf("%s, %d MB", took, allocated)
	}
}

// The time for one policy grows with its size, and no faster.
func TestAWSLargePolicies(t *testing.T) {
	hard := "{1de4" + strings.Repeat("*a", 2000)
	many := make([]string, 20_000)
	for i := range many {
		many[i] = fmt.Sprintf("${aws:username, '%d'}*", i)
	}
	statements := slices.Repeat([]string{awsTrust("Deny", onSubject("StringLike", awsOther+":*"))}, 2000)
	keys := map[string]string{}
	for i := range 20_000 {
		keys[fmt.Sprintf("%s:x%d", awsIssuer, i)] = "x"
	}
	for name, document := range map[string]string{
		"stars":      awsPolicy(awsTrust("Allow", onSubject("StringLike", slices.Repeat([]string{hard}, 50)...))),
		"values":     awsPolicy(awsTrust("Allow", onSubject("StringLike", many...))),
		"equals":     awsPolicy(awsTrust("Allow", onSubject("StringEquals", slices.Repeat([]string{"x*"}, 20_000)...))),
		"statements": awsPolicy(statements...),
		"keys":       awsPolicy(awsTrust("Allow", `{"StringLike": `+document.Compact(keys)+`}`)),
		"variables":  awsPolicy(awsTrust("Allow", onSubject("StringLike", strings.Repeat("${a", 300_000)))),
		"uuids":      awsPolicy(awsTrust("Allow", onSubject("StringLike", strings.Repeat(awsRepo, 20_000)))),
	} {
		start := processorTime(t)
		judgeAWS(t, document, awsDeployment())
		if took := processorTime(t) - start; took > patience() {
			t.Errorf("%s: %s", name, took)
		}
	}
}

// patience is the longest that a judgement may take. The race detector makes everything several times slower.
func patience() time.Duration {
	if raceDetector() {
		return 20 * time.Second
	}
	return 2 * time.Second
}

// raceDetector reports whether the detector watches this test. It makes everything slower, and allocates as well.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// processorTime is the time that this process has used: a busy machine must not fail a test.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
