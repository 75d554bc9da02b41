package iam

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// passes reports whether check ends with exit status 0.
func passes(r trust.Result) bool {
	return r.Verdict == trust.Allow && !slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Severity == finding.Error })
}

// strangers are one step of each kind from another repository.
func strangers(audiences ...string) []bitbucket.Identity {
	u := reachUniverse()
	made := bitbucket.MadeUpUUIDs()
	var all []bitbucket.Identity
	for _, audience := range [][]string{{awsAudience}, append([]string{awsAudience}, audiences...)} {
		for _, environment := range []string{"", made[1]} {
			all = append(all, u.Member(bitbucket.Member{
				Repository: "{5eed5eed-1234-4abc-8def-0123456789ab}", Environment: environment, Step: made[2], Audience: audience,
			}))
		}
	}
	return all
}

// Each Deny looks like a guard if only one identity is judged, and lets in others. check was once wrong about each of them.
func TestAWSDenyThatLetsInOthers(t *testing.T) {
	open := awsTrust("Allow", onlyAudience)
	all := awsTrust("Allow", `{}`)
	wide := awsTrust("Allow", onSubject("StringLike", inRepository))
	good := awsTrust("Allow", goodConditions)
	guard := `{"StringNotLike": {"@:sub": "` + inEnvironment + `"}}`
	deny := func(condition string) string { return awsTrust("Deny", both(condition, guard)) } // of others, on one more condition
	for _, c := range []struct {
		name, policy, rule string
	}{
		{"a Deny of this repository only", awsPolicy(open, deny(`{"StringLike": {"@:sub": "`+inRepository+`"}}`)), "aws-admits-others"},
		{"a Deny around this repository", awsPolicy(open, deny(`{"StringLike": {"@:sub": "*`+strings.Trim(awsRepo, "{}")+`*"}}`)), "aws-admits-others"},
		{"a Deny of a set", awsPolicy(open, deny(`{"ForAnyValue:StringLikeIfExists": {"@:sub": "`+inRepository+`"}}`)), "aws-admits-others"},
		{"a Deny without an audience", awsPolicy(all, deny(`{"ForAllValues:StringNotEquals": {"@:aud": "x"}}`)), "aws-admits-others"},
		{"a Deny of the sole audience", awsPolicy(all, deny(onlyAudience)), "aws-admits-others"},
		{"two audiences, and not a third", awsPolicy(all, deny(`{"ForAllValues:StringNotEquals": {"@:aud": "x"}}`),
			deny(`{"ForAllValues:StringNotEquals": {"@:aud": "y"}}`), deny(`{"ForAnyValue:StringEquals": {"@:aud": "z"}}`)), "aws-admits-others"},
		{"one spelling of an audience, and not another", awsPolicy(all, deny(`{"ForAllValues:StringNotEqualsIgnoreCase": {"@:aud": "xy"}}`),
			deny(`{"ForAnyValue:StringEquals": {"@:aud": ["xy", "XY", "Xy"]}}`)), "aws-admits-others"},
		{"an audience between two patterns", awsPolicy(all, deny(`{"ForAllValues:StringNotLike": {"@:aud": "a?c*"}}`),
			deny(`{"ForAnyValue:StringLike": {"@:aud": ["axc*", "a0c*"]}}`)), "aws-admits-others"},
		{"a Deny for everyone", awsPolicy(all, forEveryone(awsTrust("Deny", guard))), "aws-admits-others"},
		{"the environment, and a way round", awsPolicy(wide, deny(`{"ForAllValues:StringNotEquals": {"@:aud": "x"}}`)), "aws-repository-wide"},
		{"half a UUID", awsPolicy(awsTrust("Allow", onSubject("StringLike", inRepository, "{1de4*:*"))), "aws-admits-others"},
		{"no condition", awsPolicy(all), "aws-admits-others"},
		{"the world beside it", awsPolicy(good, awsOthers(`{"AWS": "*"}`, "sts:AssumeRole", `{}`)), "aws-principal"},
		{"the world, with an address of all", awsPolicy(good, awsOthers(`{"AWS": "*"}`, "s3:*", `{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}`)), "aws-principal"},
	} {
		r := judgeAWS(t, c.policy, awsDeployment())
		i := slices.IndexFunc(r.Findings, func(f finding.Finding) bool { return f.Rule == c.rule && f.Severity == finding.Error })
		if r.Verdict != trust.Allow || i < 0 {
			t.Errorf("%s: %s, no error %s: %+v", c.name, r.Verdict, c.rule, r.Findings)
			continue
		}
		checkFinding(t, r.Findings[i])
		if c.rule == "aws-principal" {
			continue
		}
		witness, err := bitbucket.FromClaims([]byte(document.Compact(r.Findings[i].Witness)))
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got := judgeAWS(t, c.policy, witness); got.Verdict == trust.Deny {
			t.Errorf("%s: the witness %s is refused: %s", c.name, witness.Claims.Subject, got.Reason)
		}
	}
}

// Each policy is right, or shares the role on purpose.
func TestAWSLetsInNobodyElse(t *testing.T) {
	allow := func(values ...string) string { return awsPolicy(awsTrust("Allow", onSubject("StringLike", values...))) }
	with := func(allow, deny string) string { return awsPolicy(awsTrust("Allow", allow), awsTrust("Deny", deny)) }
	beside := func(statement string) string { return awsPolicy(awsTrust("Allow", goodConditions), statement) }
	denyOthers := onSubject("StringNotLike", inEnvironment)
	github := strings.ReplaceAll(awsTrust("Allow", `{}`), awsIssuer, "token.actions.githubusercontent.com")
	organisation := `{"StringEquals": {"aws:PrincipalOrgID": "o-1"}}`
	step, deployment := awsBuild(), awsDeployment()
	for _, c := range []struct {
		name, policy string
		id           bitbucket.Identity
		notes        string // rules, in the order of their names
	}{
		{"the environment", awsPolicy(awsTrust("Allow", goodConditions)), deployment, ""},
		{"the repository", allow(inRepository), step, "aws-repository-wide"},
		{"the repository, and the environment", allow(inEnvironment, inRepository), deployment, "aws-repository-wide"},
		{"the environment of whatever repository", allow("*:" + awsEnv + ":*"), deployment, ""},
		{"two environments", allow(inEnvironment, awsRepo+":"+reachStaging+":*"), deployment, "aws-repository-wide"},
		{"another repository", allow(inEnvironment, awsOther+":*"), deployment, "aws-names-others aws-repository-wide"},
		{"a Deny of all others", with(onlyAudience, denyOthers), deployment, ""},
		{"a Deny of everything but deployments of others", with(onSubject("StringLike", inRepository), denyOthers), deployment, "aws-repository-wide"},
		{"GitHub beside it", beside(github), deployment, "aws-not-judged"},
		{"a service beside it", beside(awsOthers(`{"Service": "ecs.amazonaws.com"}`, "sts:AssumeRole", `{}`)), deployment, "aws-not-judged"},
		{"the account's own tag", beside(awsOthers(`{"AWS": "*"}`, "sts:AssumeRole", organisation)), deployment, "aws-not-judged"},
	} {
		r := judgeAWS(t, c.policy, c.id)
		var notes []string
		for _, f := range r.Findings {
			if f.Severity == finding.Note {
				notes = append(notes, f.Rule)
			}
		}
		slices.Sort(notes)
		if !passes(r) || strings.Join(slices.Compact(notes), " ") != c.notes {
			t.Errorf("%s: %s %q, want %q: %+v", c.name, r.Verdict, notes, c.notes, r.Findings)
		}
	}
}

// A random policy that check passes lets in no stranger, whatever audiences the stranger asks for.
func TestAWSPassedPoliciesLetInNoStranger(t *testing.T) {
	policies := 3000
	if *more {
		policies = 40_000
	}
	r := rand.New(rand.NewPCG(21, 22))
	passed := 0
	for range policies {
		first := []string{guardCondition(r), goodConditions, onSubject("StringLike", inRepository), onSubject("StringLike", inEnvironment)}[r.IntN(4)]
		statements := []string{awsTrust("Allow", first)}
		for range r.IntN(3) {
			statements = append(statements, awsTrust([]string{"Allow", "Deny", "Deny"}[r.IntN(3)], guardCondition(r)))
		}
		policy := awsPolicy(statements...)
		for _, id := range []bitbucket.Identity{awsDeployment(), awsBuild()} {
			if !passes(judgeAWS(t, policy, id)) {
				continue
			}
			passed++
			for _, stranger := range strangers("x") {
				if got := judgeAWS(t, policy, stranger); got.Verdict != trust.Deny {
					t.Fatalf("passed for %s, and %s with %q is %s in\n%s", id.Claims.Subject, stranger.Claims.Subject, stranger.Claims.Audience, got.Verdict, policy)
				}
			}
		}
	}
	t.Logf("%d of %d policies passed", passed, policies)
	if passed < policies/50 {
		t.Error("too few passed for the search to say much")
	}
}

// guardCondition is a condition that people write to keep others out, right or wrong.
func guardCondition(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	blocks := map[string]map[string][]string{}
	for range r.IntN(3) {
		operator := pick("StringEquals", "StringLike", "StringLike", "StringLike", "StringNotLike", "StringNotLike", "StringNotEquals",
			"StringEqualsIgnoreCase", "ArnLike")
		operator = pick("", "", "", "ForAllValues:", "ForAnyValue:") + operator + pick("", "", "", "IfExists")
		key := pick(awsIssuer+":sub", awsIssuer+":sub", awsIssuer+":sub", awsIssuer+":aud")
		values := []string{pick(awsAudience, awsAudience, "x", "*")}
		if strings.HasSuffix(key, "sub") {
			values = []string{pick(inRepository, inRepository, inEnvironment, "*", "*:*:*", "{1de4*", "*"+awsEnv+"*",
				awsRepo+":"+awsEnv+":"+awsStep, awsRepo+"*", "${"+awsIssuer+":sub}")}
			if r.IntN(3) == 0 {
				values = append(values, pick(inRepository, "{5eed*", awsOther+":*"))
			}
		}
		if blocks[operator] == nil {
			blocks[operator] = map[string][]string{}
		}
		blocks[operator][key] = values
	}
	return document.Compact(blocks)
}
