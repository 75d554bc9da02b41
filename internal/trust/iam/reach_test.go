package iam

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// more asks for more random policies, which take some minutes.
var more = flag.Bool("more", false, "judge 1,500 random policies and not a few hundred")

const (
	reachShop     = awsRepo
	reachInfra    = "{91d0c7aa-12f3-4d55-8a4b-f00dfeedbeef}"
	reachProd     = awsEnv
	reachStaging  = "{a1b2c3d4-0000-4111-8222-333344445555}"
	reachOldEnv   = "{0e0e0e0e-1111-4222-8333-444444444444}"
	reachOld      = awsOther
	reachAnyOther = "any other repository/any other environment"
)

// reachUniverse knows two repositories.
func reachUniverse() bitbucket.Universe {
	return bitbucket.Universe{
		Issuer: "https://" + awsIssuer, WorkspaceUUID: awsWorkspace,
		Repositories: []bitbucket.Repository{
			{Name: "shop", UUID: reachShop, Environments: []bitbucket.Environment{{Name: "production", UUID: reachProd}, {Name: "staging", UUID: reachStaging}}},
			{Name: "infra", UUID: reachInfra},
		},
	}
}

// reachAWS is who gets in through a policy.
func reachAWS(t testing.TB, policy string, u bitbucket.Universe) []trust.Cell {
	t.Helper()
	root, err := document.Parse([]byte(policy))
	if err != nil {
		t.Fatalf("%v in\n%s", err, policy)
	}
	return role{policy: file{data: []byte(policy)}.policy(root)}.reach(context.Background(), u)
}

// told is a list of the cells that get in, with what is special about each.
func told(cells []trust.Cell) []string {
	all := []string{}
	for _, c := range cells {
		words := c.Who
		switch {
		case c.Reach.Pinned && !c.Reach.Maybe:
			words += " (named steps)"
		case !c.Reach.Maybe:
			continue
		case !c.Reach.Some:
			words += " (perhaps)"
		case !c.Reach.All && c.Reach.Share > 0.99:
			words += " (not all)"
		case !c.Reach.All:
			words += fmt.Sprintf(" (1 in %.0f)", 1/c.Reach.Share)
		}
		if c.Usual.Maybe != c.Reach.Maybe {
			words += " (with more audiences)"
		}
		all = append(all, words)
	}
	return all
}

// allOf are the cells of a repository and of its environments.
func allOf(repository string, environments ...string) []string {
	all := []string{repository + "/none"}
	for _, e := range environments {
		all = append(all, repository+"/"+e)
	}
	return append(all, repository+"/any other environment")
}

// For 22 of these policies somebody worked out by hand who gets in. The repositories shop and infra are known.
func TestAWSReach(t *testing.T) {
	like := func(values ...string) string {
		return awsPolicy(awsTrust("Allow", `{"StringEquals": {"@:aud": "`+awsAudience+`"}, "StringLike": {"@:sub": `+document.Compact(values)+`}}`))
	}
	with := func(condition string) string { return awsPolicy(awsTrust("Allow", condition)) }
	prod := reachShop + ":" + reachProd + ":*"
	shop, infra, others := allOf("shop", "production", "staging"), allOf("infra"), allOf("any other repository")
	everybody := slices.Concat(shop, infra, others)
	step := reachShop + ":{????????-????-????-????-????????????}"
	for _, c := range []struct {
		name, policy string
		want         []string
	}{
		{"one environment", like(prod), []string{"shop/production"}},
		{"one repository", like(reachShop + ":*"), shop},
		{"no subject", with(onlyAudience), everybody},
		{"deployments of all", like(prod, "*:*:*"),
			[]string{"shop/production", "shop/staging", "shop/any other environment", "infra/any other environment", reachAnyOther}},
		{"part of a UUID", like(prod, "{5e9e*"),
			[]string{"shop/production", "any other repository/none (1 in 65536)", reachAnyOther + " (1 in 65536)"}},
		{"an unlisted repository", like(prod, reachOld+":*"), append([]string{"shop/production"}, allOf("unlisted repository "+reachOld)...)},
		{"an environment of whatever repository", like("*:" + reachProd + ":*"), []string{"shop/production"}},
		{"no braces", like(strings.Trim(reachShop, "{}") + ":*"), nil},
		{"a whole subject", with(onSubject("StringEquals", reachShop+":"+reachProd+":"+awsStep)), []string{"shop/production (named steps)"}},
		{"an environment without the rest", like(reachShop + ":" + reachProd), nil},
		{"an environment made anew", like(reachShop + ":" + reachOldEnv + ":*"), []string{"shop/unlisted environment " + reachOldEnv}},
		{"another workspace's provider", strings.ReplaceAll(like(prod), "acme", "acme-old"), nil},
		{"another audience", strings.ReplaceAll(like(prod), awsAudience, "sts.amazonaws.com"), []string{"shop/production (perhaps) (with more audiences)"}},
		{"all environments but one",
			awsPolicy(awsTrust("Allow", onSubject("StringLike", reachShop+":{*}:{*")), awsTrust("Deny", onSubject("StringLike", reachShop+":"+reachStaging+":*"))),
			[]string{"shop/production", "shop/any other environment"}},
		{"Deny of all others", awsPolicy(awsTrust("Allow", `{}`), awsTrust("Deny", onSubject("StringNotLike", prod))), []string{"shop/production"}},
		{"an address", with(`{"StringLike": {"@:sub": "` + prod + `"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}`), []string{"shop/production (perhaps)"}},
		{"off deployments", like(step), []string{"shop/none"}},
		{"all but one", with(onSubject("StringNotLike", reachInfra+":*")), slices.Concat(shop, others)},
		{"ForAllValues", with(onSubject("ForAllValues:StringLike", prod)), []string{"shop/production"}},
		{"capital letters", like(strings.ToUpper(prod)), nil},
		{"ARNs", with(onSubject("ArnLike", reachShop+":*")), perhaps(shop)},
		{"the last digits open", like(reachShop[:30] + "*:" + reachProd + ":*"), []string{"shop/production"}},
		{"no audience", with(onSubject("StringLike", prod)), []string{"shop/production"}},

		{"its own value", with(onSubject("StringLike", "${"+awsIssuer+":sub}")), everybody},
		{"its own value, denied", awsPolicy(awsTrust("Allow", `{}`), awsTrust("Deny", onSubject("StringNotEquals", "${"+awsIssuer+":sub}"))), everybody},
		{"everyone", awsPolicy(forEveryone(awsTrust("Allow", `{}`))), perhaps(everybody)},
		{"a Deny for everyone", awsPolicy(awsTrust("Allow", onSubject("StringLike", prod)), forEveryone(awsTrust("Deny", `{}`))),
			[]string{"shop/production (perhaps)"}},
		{"a variable without a value", with(onSubject("StringLike", "${aws:username}*")), nil},
		{"a variable without a value, denied",
			awsPolicy(awsTrust("Allow", onSubject("StringLike", prod)), awsTrust("Deny", onSubject("StringLike", "${aws:username}*"))),
			[]string{"shop/production"}},
		{"one key in two cases", with(both(`{"StringLike": {"@:sub": "`+reachShop+`:*", "@:SUB": "`+prod+`"}}`, onlyAudience)),
			[]string{"shop/none (perhaps)", "shop/production", "shop/staging (perhaps)", "shop/any other environment (perhaps)"}},
		{"what AWS would not store", strings.Replace(like(prod), `"Version"`, `"Statements": [], "Version"`, 1), nil},
		{"an audience to ask for", with(awsConditions("StringLike", document.Compact(prod), "ForAnyValue:StringEquals", `"x"`)),
			[]string{"shop/production (with more audiences)"}},
		{"an audience, and a Deny of others who ask for it", awsPolicy(awsTrust("Allow", `{"ForAnyValue:StringEqualsIgnoreCase": {"@:aud": "x"}}`),
			awsTrust("Deny", awsConditions("StringNotLike", document.Compact(prod), "ForAnyValue:StringEqualsIgnoreCase", `"X"`))),
			[]string{"shop/production (with more audiences)"}},
		{"two audiences without a third", awsPolicy(awsTrust("Allow", onSubject("StringLike", prod)), awsTrust("Allow",
			both(`{"ForAnyValue:StringEquals": {"@:aud": "x"}, "ForAnyValue:StringLike": {"@:aud": "y"}}`,
				`{"StringLike": {"@:sub": "`+reachInfra+`:{????????-????-????-????-????????????}"}}`)),
			awsTrust("Deny", `{"ForAnyValue:StringEquals": {"@:aud": "z"}}`)), []string{"shop/production", "infra/none (with more audiences)"}},
		{"only audiences that the workspace's is not", with(`{"ForAllValues:StringLike": {"@:aud": "https://gw.*"}}`), nil},
		{"a Deny of the workspace's audience, whatever the others are", awsPolicy(awsTrust("Allow", onSubject("StringLike", prod, reachInfra+":*")),
			awsTrust("Deny", awsConditions("StringLike", document.Compact(reachInfra+":*"), "ForAnyValue:StringLike", `["ari:*", "x?"]`))),
			[]string{"shop/production"}},
		{"an audience that is compared with the audience", awsPolicy(awsTrust("Allow", onSubject("StringLike", prod)), awsTrust("Allow",
			both(`{"StringLike": {"@:sub": "`+reachInfra+`:{????????-????-????-????-????????????}"}}`,
				`{"ForAllValues:StringNotLike": {"@:aud": "${`+awsIssuer+`:aud}"}}`))), []string{"shop/production", "infra/none (perhaps) (with more audiences)"}},
		{"no audience that no pattern matches", awsPolicy(awsTrust("Allow", onSubject("StringLike", prod)),
			awsTrust("Allow", `{"ForAnyValue:StringNotLike": {"@:aud": "*"}, "ForAnyValue:StringLike": {"@:aud": "ari:?*"}}`)), []string{"shop/production"}},
		{"capital letters that do not count", with(onSubject("StringEqualsIgnoreCase", strings.ToUpper(reachShop+":"+reachProd+":"+awsStep))),
			[]string{"shop/production (named steps)"}},
	} {
		cells := reachAWS(t, c.policy, reachUniverse())
		if got := told(cells); !slices.Equal(got, append([]string{}, c.want...)) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		for _, cell := range cells {
			confirmAWS(t, c.policy, cell)
		}
	}
}

func perhaps(all []string) []string {
	var marked []string
	for _, who := range all {
		marked = append(marked, who+" (perhaps)")
	}
	return marked
}

// confirmAWS judges the witnesses of a cell.
func confirmAWS(t *testing.T, policy string, c trust.Cell) {
	t.Helper()
	for name, e := range map[string]trust.Extent{"reach": c.Reach, "usual": c.Usual} {
		if e.Maybe != (e.Witness != nil) {
			t.Errorf("%s, %s: maybe %t, witness %v in\n%s", c.Who, name, e.Maybe, e.Witness, policy)
		}
		if e.Witness != nil {
			if got := judgeAWS(t, policy, *e.Witness).Verdict; got != e.Verdict() {
				t.Errorf("%s, %s: the witness %s is %s, want %s in\n%s", c.Who, name, e.Witness.Claims.Subject, got, e.Verdict(), policy)
			}
		}
		if e.Refused != nil {
			if got := judgeAWS(t, policy, *e.Refused).Verdict; got != trust.Deny {
				t.Errorf("%s, %s: %s is %s, want deny in\n%s", c.Who, name, e.Refused.Claims.Subject, got, policy)
			}
		}
	}
}

// randomUUID is a UUID of random digits.
func randomUUID(r *rand.Rand) string {
	return fmt.Sprintf("{%08x-%04x-%04x-%04x-%012x}", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint64()&0xffffffffffff)
}

// randomReachPolicy is a policy of conditions on subjects, most of them adversarial.
func randomReachPolicy(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	value := func() string {
		rest := pick("*", reachProd+":*", reachOldEnv+":*", "*:*", reachStaging+":"+awsStep, awsStep, "????????*", "{*}")
		text := pick(reachShop, reachInfra, reachOld, "*") + ":" + rest
		runes := []rune(text)
		for range r.IntN(4) {
			at := r.IntN(len(runes))
			runes = slices.Replace(runes, at, min(len(runes), at+r.IntN(30)), []rune(pick("*", "?", "*a*", "", "{5"))...)
			if len(runes) == 0 {
				runes = []rune("*")
			}
		}
		return pick(string(runes), string(runes), string(runes), "*", strings.ToUpper(string(runes)), "${"+awsIssuer+":sub}", "*"+string(runes[len(runes)/2:]))
	}
	condition := func() string {
		blocks := map[string]map[string][]string{}
		for range 1 + r.IntN(3) {
			operator := pick("", "", "ForAllValues:", "ForAnyValue:") + pick("StringEquals", "StringNotEquals", "StringLike", "StringLike", "StringLike",
				"StringNotLike", "StringNotLike", "StringEqualsIgnoreCase", "ArnLike", "ArnNotLike", "Null", "IpAddress", "Bool")
			if !strings.HasSuffix(operator, "Null") && r.IntN(5) == 0 {
				operator += "IfExists"
			}
			key := pick(awsIssuer+":sub", awsIssuer+":sub", awsIssuer+":sub", awsIssuer+":SUB", awsIssuer+":aud", awsIssuer+":branchName", "aws:SourceIp")
			values := []string{}
			for range r.IntN(3) + 1 {
				switch {
				case strings.HasSuffix(operator, "Null"):
					values = append(values, pick("true", "false"))
				case key == awsIssuer+":aud":
					values = append(values, pick(awsAudience, "x", "*", "ari:*", "sts.amazonaws.com"))
				default:
					values = append(values, value())
				}
			}
			if blocks[operator] == nil {
				blocks[operator] = map[string][]string{}
			}
			blocks[operator][key] = values
		}
		return document.Compact(blocks)
	}
	statements := []string{awsTrust("Allow", condition())}
	for range r.IntN(3) {
		statements = append(statements, awsTrust(pick("Allow", "Deny", "Deny"), condition()))
	}
	return awsPolicy(statements...)
}

// What is decided for a cell is true for each of its subjects: of random policies, the witnesses of each cell and random subjects are
// judged one by one. Mutations of the walk that this or TestAWSReach catches: settle one place too far or not at all, ? that may
// be empty, an excluded UUID that counts, weights of one, a negation lost, a Deny ignored, unknown taken for no, twins not reconciled.
func TestAWSReachIsWhatTheJudgeSays(t *testing.T) {
	policies := 250
	if *more {
		policies = 1500
	}
	r := rand.New(rand.NewPCG(11, 12))
	judged, expected, met := 0, 0.0, 0
	for range policies {
		policy := randomReachPolicy(r)
		for _, c := range reachAWS(t, policy, reachUniverse()) {
			confirmAWS(t, policy, c)
			for range 3 {
				id := memberOf(r, c)
				got := judgeAWS(t, policy, id).Verdict
				judged++
				switch e := c.Usual; {
				case got == trust.Allow && !e.Some, got == trust.Undecided && !e.Maybe,
					got != trust.Allow && e.All, got == trust.Deny && e.MaybeAll:
					t.Fatalf("%s: %s is %s, and the cell is %+v in\n%s", c.Who, id.Claims.Subject, got, e, policy)
				}
				if c.Usual.Some {
					expected += c.Usual.Share
					if got == trust.Allow {
						met++
					}
				}
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d judgements; by the shares %.1f are let in, and %d were", judged, expected, met)
	if float64(met) < expected*0.95-10 || float64(met) > expected*1.05+10 {
		t.Error("the shares are wrong")
	}
}

// memberOf is a random member of a cell, with the audience of the workspace.
func memberOf(r *rand.Rand, c trust.Cell) bitbucket.Identity {
	repository, environment := c.Repository, c.Environment
	if repository == "" {
		repository = randomUUID(r)
	}
	if environment == "" && c.Deployment {
		environment = randomUUID(r)
	}
	return reachUniverse().Member(bitbucket.Member{Repository: repository, Environment: environment, Step: randomUUID(r), Audience: []string{awsAudience}})
}

func BenchmarkAWSReach(b *testing.B) {
	policies := map[string]string{
		"explain": awsPolicy(awsTrust("Allow", goodConditions)),
		"deny": awsPolicy(awsTrust("Allow", onSubject("StringLike", reachShop+":*")),
			awsTrust("Deny", onSubject("StringNotLike", reachShop+":"+reachProd+":*", reachInfra+":*"))),
		"thirty": awsPolicy(awsTrust("Allow", onSubject("StringLike", thirty()...))),
	}
	for name, policy := range policies {
		b.Run(name, func(b *testing.B) {
			cells := 0
			for b.Loop() {
				cells += len(reachAWS(b, policy, reachUniverse()))
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(cells), "µs/cell")
		})
	}
}

func thirty() []string {
	r := rand.New(rand.NewPCG(1, 1))
	var all []string
	for range 30 {
		all = append(all, randomUUID(r)+":"+randomUUID(r)+":*")
	}
	return all
}

// A resource control policy can only deny. If it is not certain that it denies somebody, it is also not certain that they get in.
func TestAWSReachUnderControls(t *testing.T) {
	open := awsPolicy(awsTrust("Allow", onlyAudience))
	control := func(statement string) string {
		return strings.ReplaceAll(`{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", `+statement+`}}`, "@", awsIssuer)
	}
	web := `"Action": "sts:AssumeRoleWithWebIdentity", "Resource": "*"`
	but := func(value string) string {
		return control(web + `, "Condition": {"Null": {"@:sub": "false"}, "StringNotLikeIfExists": {"@:sub": "` + value + `"}}`)
	}
	arn := "arn:aws:iam::123456789012:role/deploy"
	shop, infra, others := allOf("shop", "production", "staging"), allOf("infra"), allOf("any other repository")
	everybody := slices.Concat(shop, infra, others)
	unsure := func(who []string) []string {
		all := slices.Clone(who)
		for i := range all {
			all[i] += " (perhaps)"
		}
		return all
	}
	for _, c := range []struct {
		name, arn string
		controls  []string
		want      []string
	}{
		{"none", "", nil, everybody},
		{"all but one repository", "", []string{but(reachShop + ":*")}, shop},
		{"all but one environment", "", []string{but(reachShop + ":" + reachProd + ":*")}, []string{"shop/production"}},
		{"two that leave nobody", "", []string{but(reachShop + ":*"), but(reachInfra + ":*")}, nil},
		{"another action", "", []string{control(`"Action": ["sts:AssumeRole", "s3:*"], "Resource": "*"`)}, everybody},
		{"any action", "", []string{control(`"Action": "*", "Resource": "*"`)}, nil},
		{"the role", arn, []string{control(`"Action": "sts:*", "Resource": "arn:aws:iam::*:role/dep*"`)}, nil},
		{"another role", arn, []string{control(`"Action": "sts:*", "Resource": "arn:aws:iam::*:role/admin"`)}, everybody},
		{"every role but this", arn, []string{control(`"Action": "sts:*", "NotResource": "` + arn + `"`)}, everybody},
		{"a role that may be this", "", []string{control(`"Action": "sts:*", "Resource": "` + arn + `"`)}, unsure(everybody)},
		{"buckets", "", []string{control(`"Action": "*", "Resource": "arn:aws:s3:::*"`)}, everybody},
		{"past the borders of an ARN's parts", arn, []string{control(`"Action": "sts:*", "Resource": "arn:*/deploy"`)}, unsure(everybody)},
		{"an address", "", []string{control(web + `, "Condition": {"NotIpAddress": {"aws:SourceIp": "198.51.100.0/24"}}`)}, unsure(everybody)},
		{"a condition of which the request lacks the key", "", []string{control(web + `, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "x"}}`)}, everybody},
		{"what AWS would not store", "", []string{control(`"NotAction": "s3:*", "Resource": "*"`)}, unsure(everybody)},
		{"an Allow", "", []string{strings.Replace(control(web), "Deny", "Allow", 1)}, everybody},
	} {
		t.Run(c.name, func(t *testing.T) {
			read := func(text string) *document.File {
				f, err := document.Read("rcp.json", []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				return f
			}
			r := role{policy: file{data: []byte(open)}.policy(read(open).Root), arn: c.arn, partition: "aws"}
			if c.arn != "" {
				r.account = "123456789012"
			}
			for _, text := range c.controls {
				one, err := ReadControl(read(text))
				if err != nil {
					t.Fatal(err)
				}
				r.controls = append(r.controls, one)
			}
			if got := told(r.reach(context.Background(), reachUniverse())); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
