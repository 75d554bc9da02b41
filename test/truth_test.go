package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

// TestTruth holds every value of records against what happened, as the stand-in of the cloud had it: what it was asked, what it answered,
// what it handed out. A value more, or one fewer, fails; so does an attribute that no case compares.
func TestTruth(t *testing.T) {
	pipe, compared := builtPipe(t), map[string]bool{}
	cases := []struct {
		name string
		run  func(tr *truth)
	}{
		{"AWS granted, under guardrails and session policies, and logout", awsGranted},
		{"AWS, a pull request's step without anything said of the session", awsPlain},
		{"AWS refused", awsRefused},
		{"AWS, a profile granted and another one refused", awsProfiles},
		{"AWS, a chain", awsChain},
		{"AWS, a chain refused on its way", awsChainRefused},
		{"AWS, no answer", awsNoAnswer},
		{"a registry of AWS", awsRegistry},
		{"denied by a guardrail", guardDenied},
		{"denied by a guardrail on the credential", guardDeniedAfter},
		{"denied by the access map, and not by the file", mapDenied},
		{"Google, a service account and an ID token", googleAccount},
		{"Google, through delegates", googleDelegates},
		{"Google, direct", googleDirect},
		{"Google, the token refused", googleRefused},
		{"Google, the service account refused", googleAccountRefused},
		{"Vault granted and revoked", vaultGranted},
		{"Vault not revoked, beside AWS", vaultNotRevoked},
		{"Vault refused", vaultRefused},
		{"Okta granted, and refused", oktaBoth},
		{"OAuth granted, and refused", oauthBoth},
	}
	ran := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ran++
			c.run(newTruth(t, pipe, compared))
		})
	}
	if ran == len(cases) {
		complete(t, compared)
	}
}

const region = "AWS_REGION=eu-west-1"

func awsGranted(tr *truth) {
	got := tr.records("login", 0, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, region, "AWS_SESSION_DURATION=30m", "AWS_SESSION_POLICY="+inlinePolicy,
		"MINIMUM_LIFETIME=10m", "AWS_SESSION_POLICY_ARNS=arn:aws:iam::aws:policy/ReadOnlyAccess,arn:aws:iam::aws:policy/SecurityAudit",
		"AWS_ALLOWED_ACCOUNTS="+cloud.AWSAccount, "GUARD_FILE=guard.yaml")
	ex := tr.last("AssumeRoleWithWebIdentity")
	s := tr.session(ex)
	read, audit := ex.asked["PolicyArns.member.1.arn"], ex.asked["PolicyArns.member.2.arn"]
	tr.check(got[0], tr.always("login"), success, newLogon, ex.aws(), event("aws.login.granted", 1, "aws default: handed out "+s.Principal()), ex.at(),
		ex.byAWS("sts.amazonaws.com", "eu-west-1"), holds(s), tr.decided(ex, ex),
		judgedBy("Allowed", "any-branch", "pass", "short", "pass", "no-admin", "pass", "no-pull-request", "skip"),
		tr.saw(ex.awsInput(), credential(s), map[string]string{
			"request/policies": "", "request/policies/0": read, "request/policies/1": audit, "request/policies/2": "inline",
		}),
		map[string]string{
			"unmapped/guard.allowed-accounts": "pass", "unmapped/guard.minimum-lifetime": "pass",
			"unmapped/requested.narrowed": "true", "unmapped/requested.session_policies": read + " " + audit,
			"unmapped/requested.session_policy_sha256": digestOf(ex.asked["Policy"]),
		})

	got = tr.records("logout", 0)
	tr.check(got[0], tr.always("logout"), loggedOut(1, "aws default", s.Principal()), map[string]string{
		"user/name": s.Name, "session/expiration_time": fmt.Sprint(s.Expires.UnixMilli()),
	})
}

// loggedOut is a credential that ends by itself.
func loggedOut(sequence int, target, principal string) map[string]string {
	const reason = "files removed; the session ends by itself"
	return joined(ends("2", "Logoff", "1", "1", "1", "Allowed", "Informational"), onlyControl, event("logout", sequence, target+": "+reason), map[string]string{
		"service/name": "bitbucket-oidc", "user/uid": principal, "user/name": principal, "unmapped/target": target, "unmapped/requested.target": principal,
		"session/uid": principal, "session/is_remote": "true", "session/expiration_reason": reason,
	})
}

func awsPlain(tr *truth) {
	tr.variables = map[string]string{"BITBUCKET_BRANCH": "topic", "BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_PR_ID": "12", "BITBUCKET_TAG": "v1.2"}
	tr.step.EnvironmentUUID, tr.step.Branch = "", "topic"
	tr.token = tr.world.Issuer.Token(tr.step)
	got := tr.records("login", 0, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, region, "GUARD_FILE=guard.yaml")
	ex := tr.last("AssumeRoleWithWebIdentity")
	s := tr.session(ex)
	tr.check(got[0], tr.always("login"), success, newLogon, ex.aws(), event("aws.login.granted", 1, "aws default: handed out "+s.Principal()), ex.at(),
		ex.byAWS("sts.amazonaws.com", "eu-west-1"), holds(s), tr.decided(ex, ex), tr.saw(ex.awsInput(), credential(s)),
		judgedBy("Allowed", "any-branch", "pass", "short", "pass", "no-admin", "pass", "no-pull-request", "fail"))
}

func awsRefused(tr *truth) {
	tr.world.AWS.SetRole(cloud.Role{ARN: cloud.RoleARN})
	got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, region, "GUARD_FILE=guard.yaml")
	ex := tr.last("AssumeRoleWithWebIdentity")
	tr.check(got[0], tr.always("login"), notAuthorized, ex.aws(), ex.at(), ex.byAWS("sts.amazonaws.com", "eu-west-1"), tr.decided(ex, ex), tr.saw(ex.awsInput()),
		judgedBy("Allowed", "any-branch", "pass", "no-admin", "pass", "no-pull-request", "skip"), // which the cloud was not moved by
		tr.refused("aws", 1, ex.answered["Code"],
			"assuming "+ex.asked["RoleArn"]+": "+ex.answered["Code"]+": the role does not exist, or its trust policy does not let this step in"))
}

func awsProfiles(tr *truth) {
	const closed = "arn:aws:iam::210987654321:role/teams/shop/closed"
	got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "AWS_OIDC_ROLES=other="+closed, region)
	var ex [2]said
	for _, one := range tr.all("AssumeRoleWithWebIdentity") {
		if one.asked["RoleArn"] == closed {
			ex[1] = one
		} else {
			ex[0] = one
		}
	}
	s := tr.session(ex[0])
	tr.check(got[0], tr.always("login"), success, newLogon, ex[0].aws(), event("aws.login.granted", 1, "aws default: handed out "+s.Principal()), ex[0].at(),
		ex[0].byAWS("sts.amazonaws.com", "eu-west-1"), holds(s), tr.decided(ex[0], ex[0]), tr.saw(ex[0].awsInput(), credential(s)),
		map[string]string{"unmapped/login.refused": "true"})
	tr.check(got[1], tr.always("login"), notAuthorized, ex[1].aws(), ex[1].at(), ex[1].byAWS("sts.amazonaws.com", "eu-west-1"), tr.decided(ex[1], ex[1]),
		tr.refused("aws", 2, ex[1].answered["Code"],
			"assuming "+closed+": "+ex[1].answered["Code"]+": the role's account has no OIDC provider for the token's issuer"),
		tr.saw(ex[1].awsInput(), map[string]string{"request/name": "other"}), map[string]string{"unmapped/target": "aws other"})
}

// chain lets each role into the next one, except the last role if it is closed, and is the variable that names the way.
func (tr *truth) chain(closed bool, roles ...string) string {
	before := cloud.RoleARN
	for i, arn := range roles {
		role := cloud.Role{ARN: arn, Trust: []cloud.Trust{{Actions: []string{"sts:AssumeRole", "sts:TagSession"}, Role: before}}}
		if closed && i == len(roles)-1 {
			role.Trust = nil
		}
		tr.world.AWS.SetRole(role)
		before = arn
	}
	return "AWS_CHAIN_ROLE_ARNS=" + strings.Join(roles, ",")
}

const (
	hub  = "arn:aws:iam::123456789012:role/hub"
	prod = "arn:aws:iam::210987654321:role/production"
)

func awsChain(tr *truth) {
	got := tr.records("login", 0, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, tr.chain(false, hub, prod), region)
	first, hops := tr.last("AssumeRoleWithWebIdentity"), tr.all("AssumeRole")
	last := hops[1]
	s := tr.session(last)
	if len(got) != 1 {
		tr.t.Fatalf("%d records of one credential", len(got))
	}
	tr.check(got[0], tr.always("login"), success, newLogon, last.aws(), event("aws.login.granted", 1, "aws default: handed out "+s.Principal()), first.at(),
		last.byAWS("sts.amazonaws.com", "eu-west-1"), holds(s), tr.decided(first, last), asChain(first, hops[0], last),
		tr.saw(last.awsInput(), credential(s), chainInput(first, hops[0], last)),
		map[string]string{"unmapped/aws.way_request_uids": first.id() + " " + hops[0].id()})
}

// asChain is the way of roles as they were asked for.
func asChain(way ...said) map[string]string {
	var roles []string
	for _, one := range way {
		roles = append(roles, one.asked["RoleArn"])
	}
	return map[string]string{"unmapped/aws.chain": strings.Join(roles, " > "), "unmapped/requested.target": roles[0]}
}

func chainInput(way ...said) map[string]string {
	input := map[string]string{"request/target": way[0].asked["RoleArn"], "request/chain": ""}
	for i, one := range way[1:] {
		input[fmt.Sprintf("request/chain/%d", i)] = one.asked["RoleArn"]
	}
	return input
}

func awsChainRefused(tr *truth) {
	got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, tr.chain(true, hub, prod), region)
	first, hops := tr.last("AssumeRoleWithWebIdentity"), tr.all("AssumeRole")
	way := []said{first, hops[0], hops[1]}
	for i, one := range way[:2] { // each session on the way is valid
		s := tr.session(one)
		var ids []string
		for _, before := range way[:i] {
			ids = append(ids, before.id())
		}
		tr.check(got[i], tr.always("login"), success, newLogon, one.aws(), event("aws.login.granted", i+1, "aws default: handed out "+s.Principal()), first.at(),
			one.byAWS("sts.amazonaws.com", "eu-west-1"), holds(s), tr.decided(first, one), asChain(way...),
			tr.saw(hops[1].awsInput(), credential(s), chainInput(way...)),
			map[string]string{"unmapped/login.refused": "true", "unmapped/aws.way_request_uids": strings.Join(ids, " ")})
	}
	tr.check(got[2], tr.always("login"), notAuthorized, hops[1].aws(), first.at(), hops[1].byAWS("sts.amazonaws.com", "eu-west-1"), tr.decided(first, hops[1]),
		asChain(way...), tr.saw(hops[1].awsInput(), chainInput(way...)),
		tr.refused("aws", 3, hops[1].answered["Code"],
			"assuming "+prod+" from "+hub+": "+hops[1].answered["Code"]+": the role does not exist, or its trust policy does not let the role before it in"),
		map[string]string{"unmapped/aws.way_request_uids": first.id() + " " + hops[0].id()})
}

func awsNoAnswer(tr *truth) {
	server, err := cloud.Serve(http.NotFoundHandler())
	if err != nil {
		tr.t.Fatal(err)
	}
	server.Close() // nobody listens any more
	got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, region, "AWS_ENDPOINT_URL_STS="+server.URL, "TIMEOUT=3s")
	nobody := said{server: server, asked: map[string]string{
		"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": cloud.RoleARN, "RoleSessionName": "bitbucket-shop-42", "DurationSeconds": "3600",
	}, from: tr.to, to: tr.from}
	tr.check(got[0], tr.always("login"), ends("1", "Logon", "2", "2", "27", "Error", "High"), nobody.aws(), nobody.at(),
		nobody.byAWS("sts.amazonaws.com", "eu-west-1"),
		tr.saw(nobody.awsInput()),
		map[string]string{"duration": span(0, tr.to.Sub(tr.from).Milliseconds()), "api/response/code": "", "api/response/message": ""},
		tr.refused("aws", 1, "unreachable", "assuming "+cloud.RoleARN+": "+strings.TrimPrefix(server.URL, "http://")+": connection refused (5 attempts)"))
}

func awsRegistry(tr *truth) {
	const host = cloud.AWSAccount + ".dkr.ecr.us-west-2.amazonaws.com"
	got := tr.records("login", 0, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, region, "AWS_ECR_REGISTRIES="+host, "AWS_ENDPOINT_URL_ECR="+tr.world.STS.URL)
	role, ex := tr.last("AssumeRoleWithWebIdentity"), tr.last("GetAuthorizationToken")
	s := tr.session(role)
	tr.check(got[1], tr.always("login"), success, newLogon, role.aws(), event("aws.login.granted", 2, "aws "+host+": handed out "+s.Principal()), role.at(),
		ex.byAWS("ecr.amazonaws.com", "us-west-2"), holds(s), tr.decided(ex, ex),
		tr.saw(role.awsInput(), credential(s), map[string]string{"request/name": host, "request/duration": "0s"}),
		map[string]string{"unmapped/target": "aws " + host, "unmapped/requested.duration": "", "session/uid_alt": ""})
}

func guardDenied(tr *truth) {
	const admin = "arn:aws:iam::123456789012:role/admin"
	got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+admin, "GUARD_FILE=guard.yaml", region)
	if n := len(tr.world.STS.Requests()); n != 0 {
		tr.t.Errorf("%d requests", n)
	}
	would := said{server: tr.world.STS, asked: map[string]string{"RoleArn": admin, "RoleSessionName": "bitbucket-shop-42", "DurationSeconds": "3600"}}
	tr.check(got[0], tr.always("login"), ends("6", "Preauth", "2", "2", "2", "Blocked", "High"), onlyControl, would.aws(), would.at(),
		judgedBy("Denied", "any-branch", "pass", "no-admin", "fail", "no-pull-request", "skip"), tr.saw(would.awsInput()),
		tr.brokeRule(1, "no-admin", "No administrator."))
}

func guardDeniedAfter(tr *truth) {
	tr.world.AWS.SetRole(cloud.Role{ARN: cloud.RoleARN, MaxSession: 12 * time.Hour, Trust: []cloud.Trust{cloud.DefaultTrust(tr.world.Issuer)}})
	got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "GUARD_FILE=guard.yaml", region, "AWS_SESSION_DURATION=3h")
	ex := tr.last("AssumeRoleWithWebIdentity")
	s := tr.session(ex)
	rules := judgedBy("Denied", "any-branch", "pass", "no-admin", "pass", "no-pull-request", "skip", "short", "fail")
	tr.check(got[0], tr.always("login"), success, newLogon, ex.aws(), event("aws.login.granted", 1, "aws default: handed out "+s.Principal()), ex.at(),
		ex.byAWS("sts.amazonaws.com", "eu-west-1"), holds(s), tr.decided(ex, ex), rules, tr.saw(ex.awsInput(), credential(s)),
		map[string]string{"unmapped/login.refused": "true"})
	tr.check(got[1], tr.always("login"), ends("6", "Preauth", "2", "2", "2", "Blocked", "High"), onlyControl, ex.aws(), ex.at(), rules, tr.saw(ex.awsInput()),
		tr.brokeRule(2, "short", "Short."))
}

func mapDenied(tr *truth) {
	text := "version: 1\nworkspace: {slug: acme, uuid: \"" + tr.step.WorkspaceUUID + "\"}\nrepositories: {shop: {uuid: \"" + tr.step.RepositoryUUID + "\"}}\n" +
		"grants: [{who: [shop/none], become: [\"" + cloud.RoleARN + "\"]}]\n"
	tr.write("access.yaml", text)
	got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "GUARD_FILE=guard.yaml", "GUARD_MAP=access.yaml", region)
	if n := len(tr.world.STS.Requests()); n != 0 {
		tr.t.Errorf("%d requests", n)
	}
	would := said{server: tr.world.STS, asked: map[string]string{"RoleArn": cloud.RoleARN, "RoleSessionName": "bitbucket-shop-42", "DurationSeconds": "3600"}}
	files := judgedBy("Allowed", "any-branch", "pass", "no-admin", "pass", "no-pull-request", "skip", "map", "fail")
	for _, path := range []string{"policy/", "authorizations/1/policy/"} {
		files[path+"name"], files[path+"uid"], files[path+"version"], files[path+"is_applied"] = "access.yaml", "sha256:"+digestOf(text), commit, "true"
	}
	files["authorizations/1/decision"] = "Denied"
	tr.check(got[0], tr.always("login"), ends("6", "Preauth", "2", "2", "2", "Blocked", "High"), onlyControl, would.aws(), would.at(),
		tr.saw(would.awsInput()), files,
		tr.brokeRule(1, "map", "The access map does not grant this."), map[string]string{"firewall_rule/uid": files["policy/uid"]})
}

// brokeRule is a denial by a guardrail.
func (tr *truth) brokeRule(sequence int, rule, message string) map[string]string {
	if !strings.Contains(tr.out, "✖ guard "+rule+": "+message) {
		tr.t.Errorf("%s is not printed:\n%s", rule, tr.out)
	}
	return joined(event("guardrail.denied", sequence, "aws default: guardrail "+rule+": "+message), map[string]string{
		"is_alert": "true", "service/name": "bitbucket-oidc", "status_code": "guardrail." + rule, "status_detail": rule + ": " + message,
		"firewall_rule/name": rule, "firewall_rule/uid": "sha256:" + digestOf(truthRules), "firewall_rule/version": commit,
	})
}
