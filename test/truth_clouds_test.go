package test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/test/cloud"
)

// joined are values of several parts; the later ones count.
func joined(parts ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// notAuthorized is a refusal by a cloud, in a production environment.
var notAuthorized = ends("1", "Logon", "2", "2", "26", "Unauthorized", "High")

// refused is what a record says of a refusal: the cloud's code, and the sentence that stands in the step's log behind the target.
func (tr *truth) refused(backend string, sequence int, code, detail string) map[string]string {
	if !strings.Contains(tr.out, ": "+detail+"\n") {
		tr.t.Errorf("the step's log does not say %q:\n%s", detail, tr.out)
	}
	all := joined(event(backend+".login.refused", sequence, detail), map[string]string{"status_code": code, "status_detail": detail})
	if backend == "aws" || backend == "gcp" {
		all["api/response/error"], all["api/response/error_message"] = code, detail
	}
	return all
}

// id is the request's in the cloud's own log, as the answer has it.
func (s said) id() string { return s.answer.Get("X-Amzn-Requestid") }

// accountOf is the account in the ARN of a role.
func accountOf(arn string) string { return strings.Split(arn, ":")[4] }

// aws is whom AWS was asked to make of the step.
func (s said) aws() map[string]string {
	role := s.asked["RoleArn"]
	return map[string]string{
		"user/uid": role, "user/name": s.asked["RoleSessionName"],
		"user/account/uid": accountOf(role), "user/account/type_id": "10", "user/account/type": "AWS Account",
		"cloud/account/uid": "", "unmapped/target": "aws default", "unmapped/requested.target": role, "unmapped/requested.duration": s.asked["DurationSeconds"],
	}
}

func (s said) awsInput() map[string]string {
	lasts, _ := time.ParseDuration(s.asked["DurationSeconds"] + "s")
	return map[string]string{
		"request/backend": "aws", "request/target": s.asked["RoleArn"], "request/account": accountOf(s.asked["RoleArn"]), "request/duration": lasts.String(),
	}
}

// byAWS is which call decided. The version of ECR's interface stands in the name of its target.
func (s said) byAWS(service, region string) map[string]string {
	version := s.asked["Version"]
	if target, _, ok := strings.Cut(s.header.Get("X-Amz-Target"), "."); ok {
		at, _ := time.Parse("20060102", target[strings.LastIndex(target, "_V")+2:])
		version = at.Format(time.DateOnly)
	}
	account := cloud.AWSAccount
	if role := s.asked["RoleArn"]; role != "" {
		account = accountOf(role)
	}
	all := map[string]string{
		"metadata/profiles/0": "cloud", "metadata/profiles/1": "security_control",
		"cloud/provider": "AWS", "cloud/region": region, "cloud/cloud_partition": "aws",
		"cloud/account/uid": account, "cloud/account/type_id": "10", "cloud/account/type": "AWS Account",
		"api/operation": s.operation(), "api/version": version, "api/service/name": service, "service/name": service,
		"api/request/uid": s.id(), "api/response/code": fmt.Sprint(s.status), "api/response/message": http.StatusText(s.status),
	}
	return all
}

// session is what AWS handed out in an exchange, as AWS knows it.
func (tr *truth) session(ex said) cloud.Session {
	tr.t.Helper()
	s, ok := tr.world.AWS.Session(ex.answered["AccessKeyId"])
	if !ok {
		tr.t.Fatalf("AWS knows of no key %s", ex.answered["AccessKeyId"])
	}
	return s
}

func holds(s cloud.Session) map[string]string {
	return map[string]string{
		"session/uid": s.Principal(), "session/uid_alt": s.AssumedRoleID(), "session/credential_uid": s.AccessKeyID, "session/issuer": s.Role,
		"session/created_time": "decided", "session/expiration_time": fmt.Sprint(s.Expires.UnixMilli()), "session/is_remote": "true",
	}
}

func credential(s cloud.Session) map[string]string {
	return map[string]string{
		"credential/principal": s.Principal(), "credential/account": accountOf(s.Role), "credential/expires": fmt.Sprint(s.Expires.UnixMilli()),
	}
}

const provider = "GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName

// providerOf is the provider that Google's STS was asked at.
func (s said) providerOf() string {
	return strings.TrimPrefix(s.asked["audience"], "//iam.googleapis.com/")
}

// google is which call of Google's decided.
func (s said) google() map[string]string {
	service, operation := "iamcredentials.googleapis.com", s.operation()
	if operation == "Token" {
		service, operation = "sts.googleapis.com", "ExchangeToken" // the name of the method in Google's audit log
	}
	return map[string]string{
		"metadata/profiles/0": "cloud", "metadata/profiles/1": "security_control", "cloud/provider": "GCP",
		"api/operation": operation, "api/version": strings.Split(s.path, "/")[1], "api/service/name": service, "service/name": service,
		"api/response/code": fmt.Sprint(s.status), "api/response/message": http.StatusText(s.status),
	}
}

// project is that of a service account, or of later commands.
func project(id string) map[string]string {
	return map[string]string{
		"user/account/uid": id, "user/account/type_id": "11", "user/account/type": "GCP Project",
		"cloud/account/uid": id, "cloud/account/type_id": "11", "cloud/account/type": "GCP Project",
	}
}

// account is the service account whose token was asked for.
func (s said) account() string {
	email, _, _ := strings.Cut(strings.TrimPrefix(s.path, "/v1/projects/-/serviceAccounts/"), ":")
	return email
}

// asAccount is who the step became by a service account, until when.
func (s said) asAccount(name, until string) map[string]string {
	email := s.account()
	return joined(project(strings.TrimSuffix(strings.Split(email, "@")[1], ".iam.gserviceaccount.com")), map[string]string{
		"user/uid": email, "user/name": email, "user/email_addr": email, "session/uid": email, "session/issuer": email, "session/is_remote": "true",
		"session/created_time": "decided", "session/expiration_time": until, "unmapped/target": "gcp " + name, "unmapped/requested.target": email,
	})
}

func held(principal, until string) map[string]string {
	return map[string]string{"credential/principal": principal, "credential/expires": until}
}

func googleAccount(tr *truth) {
	const email = cloud.ServiceAccountEmail
	got := tr.records("login", 0, provider, "GCP_SERVICE_ACCOUNT="+email, "GCP_TOKEN_LIFETIME=30m", "GCP_ID_TOKEN_AUDIENCE=https://api.example.com",
		"GCP_SCOPES=https://www.googleapis.com/auth/devstorage.read_only,https://www.googleapis.com/auth/logging.write")
	sts, access, identity := tr.last("Token"), tr.last("GenerateAccessToken"), tr.last("GenerateIdToken")
	until := exactly(tr.t, access.answered["expireTime"])
	lasts, err := time.ParseDuration(access.asked["lifetime"])
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.check(got[0], tr.always("login"), success, newLogon, event("gcp.login.granted", 1, "gcp default: handed out "+access.account()), sts.at(),
		access.google(), access.asAccount("default", until), tr.decided(sts, access),
		map[string]string{
			"unmapped/requested.duration": fmt.Sprint(lasts.Seconds()), "unmapped/requested.scopes": access.asked["scope/0"] + " " + access.asked["scope/1"],
			"unmapped/gcp.provider": sts.providerOf(),
		},
		tr.saw(held(access.account(), until), map[string]string{
			"request/backend": "gcp", "request/target": access.account(), "request/project": "my-project", "request/duration": lasts.String(),
			"request/scopes": "", "request/scopes/0": access.asked["scope/0"], "request/scopes/1": access.asked["scope/1"],
		}))

	token, err := oidc.Parse(identity.answered["token"])
	if err != nil {
		tr.t.Fatal(err)
	}
	until = fmt.Sprint(token.Claims.Expires.UnixMilli())
	tr.check(got[1], tr.always("login"), success, newLogon, event("gcp.login.granted", 2, "gcp id-token: handed out "+identity.account()), sts.at(),
		identity.google(), identity.asAccount("id-token", until), tr.decided(identity, identity),
		map[string]string{"unmapped/requested.audience": identity.asked["audience"], "unmapped/gcp.provider": sts.providerOf()},
		tr.saw(held(identity.account(), until), map[string]string{
			"request/backend": "gcp", "request/name": "id-token", "request/target": identity.account(), "request/project": "my-project",
			"request/audience": identity.asked["audience"],
		}))
}

func googleDelegates(tr *truth) {
	const hop = "hop@tools.iam.gserviceaccount.com"
	tr.world.GCP.SetServiceAccount(cloud.ServiceAccount{Email: hop, Members: []string{cloud.RepositoryMember}})
	tr.world.GCP.SetServiceAccount(cloud.ServiceAccount{Email: cloud.ServiceAccountEmail, Members: []string{"serviceAccount:" + hop}})
	got := tr.records("login", 0, provider, "GCP_SERVICE_ACCOUNT="+cloud.ServiceAccountEmail, "GCP_DELEGATES="+hop)
	sts, access := tr.last("Token"), tr.last("GenerateAccessToken")
	until := exactly(tr.t, access.answered["expireTime"])
	lasts, _ := time.ParseDuration(access.asked["lifetime"])
	through := strings.TrimPrefix(access.asked["delegates/0"], "projects/-/serviceAccounts/")
	tr.check(got[0], tr.always("login"), success, newLogon, event("gcp.login.granted", 1, "gcp default: handed out "+access.account()), sts.at(),
		access.google(), access.asAccount("default", until), tr.decided(sts, access),
		map[string]string{
			"unmapped/requested.duration": fmt.Sprint(lasts.Seconds()), "unmapped/requested.scopes": access.asked["scope/0"], "unmapped/gcp.provider": sts.providerOf(),
			"unmapped/gcp.delegates": through,
		},
		tr.saw(held(access.account(), until), map[string]string{
			"request/backend": "gcp", "request/target": access.account(), "request/project": "my-project", "request/duration": lasts.String(),
			"request/scopes": "", "request/scopes/0": access.asked["scope/0"], "request/chain": "", "request/chain/0": through,
		}))
}

// asProvider is who the step becomes by direct federation: what Google makes of the token the step does not know.
func (s said) asProvider(until string) map[string]string {
	all := map[string]string{
		"user/uid": s.providerOf(), "user/name": s.providerOf(), "unmapped/target": "gcp default", "unmapped/requested.target": s.providerOf(),
		"unmapped/gcp.provider": s.providerOf(), "unmapped/requested.scopes": s.asked["scope"],
	}
	if until != "" {
		all = joined(all, map[string]string{
			"session/uid": s.providerOf(), "session/issuer": s.providerOf(), "session/is_remote": "true", "session/created_time": "decided",
			"session/expiration_time": until,
		})
	}
	return all
}

func (s said) providerInput() map[string]string {
	return map[string]string{
		"request/backend": "gcp", "request/target": s.providerOf(), "request/scopes": "", "request/scopes/0": s.asked["scope"],
	}
}

func googleDirect(tr *truth) {
	got := tr.records("login", 0, provider, "GCP_PROJECT=shop-project")
	sts := tr.last("Token")
	until := tr.until(sts, sts.answered["expires_in"])
	tr.check(got[0], tr.always("login"), success, newLogon, event("gcp.login.granted", 1, "gcp default: handed out "+sts.providerOf()), sts.at(),
		sts.google(), sts.asProvider(until), project("shop-project"), tr.decided(sts, sts),
		tr.saw(sts.providerInput(), held(sts.providerOf(), until), map[string]string{"request/project": "shop-project"}))
}

func googleRefused(tr *truth) {
	got := tr.records("login", 1, provider+"-old")
	sts := tr.last("Token")
	tr.check(got[0], tr.always("login"), notAuthorized, sts.at(), sts.google(), sts.asProvider(""), tr.decided(sts, sts), tr.saw(sts.providerInput()),
		tr.refused("gcp", 1, sts.answered["error"],
			"exchanging the token at "+sts.providerOf()+": "+sts.answered["error"]+": the provider does not exist, or it is disabled or deleted"))
}

func googleAccountRefused(tr *truth) {
	const other = "other@billing.iam.gserviceaccount.com"
	got := tr.records("login", 1, provider, "GCP_SERVICE_ACCOUNT="+other)
	sts, access := tr.last("Token"), tr.last("GenerateAccessToken")
	asked := map[string]string{"unmapped/requested.target": access.account()}
	input := map[string]string{"request/target": access.account(), "request/project": "billing", "request/duration": "1h0m0s"}
	until := tr.until(sts, sts.answered["expires_in"])

	// Google's own token was handed out on the way. It is not the service account's.
	tr.check(got[0], tr.always("login"), success, newLogon, event("gcp.login.granted", 1, "gcp default: handed out "+sts.providerOf()), sts.at(),
		sts.google(), sts.asProvider(until), tr.decided(sts, sts), asked, tr.saw(sts.providerInput(), held(sts.providerOf(), until), input),
		map[string]string{"unmapped/login.refused": "true"})

	would := access.asAccount("default", "")
	for _, path := range []string{"session/uid", "session/issuer", "session/is_remote", "session/created_time"} {
		delete(would, path)
	}
	tr.check(got[1], tr.always("login"), notAuthorized, sts.at(), access.google(), sts.asProvider(""), would, tr.decided(sts, access), asked,
		map[string]string{"unmapped/requested.duration": strings.TrimSuffix(access.asked["lifetime"], "s")},
		tr.saw(sts.providerInput(), input), tr.refused("gcp", 2, access.answered["error/status"],
			"impersonating "+other+": "+access.answered["error/status"]+": this step may not impersonate the service account, or it does not exist"))
}

// as is an identity by one name, of a service that is no cloud of OCSF's.
func as(backend, who, until string) map[string]string {
	all := joined(onlyControl, map[string]string{
		"user/uid": who, "user/name": who, "service/name": backend, "unmapped/target": backend + " default", "unmapped/requested.target": who,
	})
	if until != "" {
		all = joined(all, map[string]string{
			"session/uid": who, "session/issuer": who, "session/is_remote": "true", "session/created_time": "decided", "session/expiration_time": until,
		})
	}
	return all
}

func asks(backend, target string) map[string]string {
	return map[string]string{"request/backend": backend, "request/target": target}
}

// vaultRole is the role that Vault was asked for, as its log names it.
func (s said) vaultRole() string {
	mount := strings.TrimSuffix(strings.TrimPrefix(s.path, "/v1/auth/"), "/login")
	return "auth/" + mount + "/role/" + s.asked["role"]
}

func vaultGranted(tr *truth) {
	server := tr.others.Servers["vault"]
	variables := []string{"VAULT_ADDR=" + server.URL, "VAULT_ROLE=" + cloud.VaultRole}
	got := tr.records("login", 0, variables...)
	ex := tr.last("Login")
	until := tr.until(ex, ex.answered["auth/lease_duration"])
	input := joined(asks("vault", ex.asked["role"]), map[string]string{"request/resource": server.URL + "/v1/" + ex.vaultRole()})
	tr.check(got[0], tr.always("login"), success, newLogon, ex.at(), event("vault.login.granted", 1, "vault default: handed out "+ex.vaultRole()),
		as("vault", ex.vaultRole(), until), tr.decided(ex, ex), tr.saw(input, held(ex.vaultRole(), until)),
		map[string]string{"session/credential_uid": ex.answered["auth/accessor"], "unmapped/request.uid": ex.answered["request_id"]})

	before := tr.others.Vault.Tokens()
	got = tr.records("logout", 0, variables...)
	if before != 1 || tr.others.Vault.Tokens() != 0 {
		tr.t.Errorf("%d tokens before logout, %d after it", before, tr.others.Vault.Tokens())
	}
	tr.check(got[0], tr.always("logout"), loggedOut(1, "vault default", ex.vaultRole()), event("logout", 1, "vault default: revoked"),
		map[string]string{"session/expiration_reason": "revoked", "session/expiration_time": until})
}

// vaultNotRevoked: what ended by itself was not revoked, and what could not be revoked is the failure of that credential alone.
func vaultNotRevoked(tr *truth) {
	server := tr.others.Servers["vault"]
	variables := []string{"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, region, "VAULT_ADDR=" + server.URL, "VAULT_ROLE=" + cloud.VaultRole}
	for _, c := range []struct {
		name   string
		addr   string // of Vault, for logout
		status int
		spoil  func() // before logout
	}{
		{name: "it has ended before", addr: server.URL, spoil: func() {
			tr.others.Vault.Configure(func(c *cloud.VaultConfig) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } })
		}},
		{name: "nobody answers", addr: tr.unserved()["is down"], status: 1, spoil: func() {}},
	} {
		tr.others.Vault.Configure(func(c *cloud.VaultConfig) { c.Now = nil })
		tr.records("login", 0, variables...)
		ex, s := tr.last("Login"), tr.session(tr.last("AssumeRoleWithWebIdentity"))
		until := tr.until(ex, ex.answered["auth/lease_duration"])
		c.spoil()
		got := tr.records("logout", c.status, "VAULT_ADDR="+c.addr)
		if len(got) != 2 {
			tr.t.Fatalf("%s: %d records of two credentials", c.name, len(got))
		}
		tr.check(got[0], tr.always("logout"), loggedOut(1, "aws default", s.Principal()), map[string]string{
			"user/name": s.Name, "session/expiration_time": fmt.Sprint(s.Expires.UnixMilli()),
		})
		want := loggedOut(2, "vault default", ex.vaultRole())
		if c.status != 0 {
			sentence := "vault default: revoking the token: " + strings.TrimPrefix(c.addr, "http://") + ": connection refused (5 attempts)"
			if !strings.Contains(tr.out, "✖ "+sentence+"\n") {
				tr.t.Errorf("it is not said:\n%s", tr.out)
			}
			want = joined(want, ends("2", "Logoff", "2", "2", "27", "Error", "High"), event("logout", 2, sentence), map[string]string{
				"status_code": "logout.failed", "status_detail": sentence, "session/expiration_reason": "",
			})
		}
		tr.check(got[1], tr.always("logout"), want, map[string]string{"session/expiration_time": until})
	}
}

func vaultRefused(tr *truth) {
	server := tr.others.Servers["vault"]
	got := tr.records("login", 1, "VAULT_ADDR="+server.URL, "VAULT_ROLE=nobody")
	ex := tr.last("Login")
	input := joined(asks("vault", ex.asked["role"]), map[string]string{"request/resource": server.URL + "/v1/" + ex.vaultRole()})
	tr.check(got[0], tr.always("login"), notAuthorized, ex.at(), as("vault", ex.vaultRole(), ""), tr.decided(ex, ex), tr.saw(input),
		tr.refused("vault", 1, fmt.Sprint(ex.status), "logging in as "+ex.vaultRole()+": the role does not exist"))
}

func oktaBoth(tr *truth) {
	server := tr.others.Servers["okta"]
	variables := []string{"OKTA_ORG_URL=" + server.URL, "OKTA_TEAM=" + cloud.OktaTeam, "OKTA_WORKLOAD_CONNECTION=" + cloud.OktaConnection}
	got := tr.records("login", 0, variables...)
	ex := tr.last("Issue_token")
	parts := strings.Split(ex.path, "/")
	who := "workload connection " + parts[5] + " of team " + parts[3]
	resource := map[string]string{"request/resource": server.URL + "/" + parts[3] + "/" + parts[5]}
	token, err := oidc.Parse(ex.answered["token"])
	if err != nil {
		tr.t.Fatal(err)
	}
	until := fmt.Sprint(token.Claims.Expires.UnixMilli())
	tr.check(got[0], tr.always("login"), success, newLogon, ex.at(), event("okta.login.granted", 1, "okta default: handed out "+who), as("okta", who, until),
		tr.decided(ex, ex), tr.saw(asks("okta", who), resource, held(who, until)))

	tr.others.Okta.Configure(func(c *cloud.OktaConfig) { c.Claims = map[string]string{"repositoryUuid": "{another}"} })
	got = tr.records("login", 1, variables...)
	ex = tr.last("Issue_token")
	tr.check(got[0], tr.always("login"), notAuthorized, ex.at(), as("okta", who, ""), tr.decided(ex, ex), tr.saw(asks("okta", who), resource),
		tr.refused("okta", 1, fmt.Sprint(ex.status), "asking "+who+": status "+fmt.Sprint(ex.status)+": Okta does not accept the step's token"))
}

func oauthBoth(tr *truth) {
	server := tr.others.Servers["oauth"]
	variables := []string{"OAUTH_TOKEN_URL=" + server.URL + "/oauth/token", "OAUTH_AUDIENCE=" + cloud.OAuthAudience}
	got := tr.records("login", 0, append(variables, "OAUTH_SCOPES=read,write")...)
	ex := tr.last("Token")
	who := "audience " + ex.asked["audience"]
	until := tr.until(ex, ex.answered["expires_in"])
	asked := func(ex said) map[string]string {
		return map[string]string{"unmapped/requested.audience": ex.asked["audience"], "unmapped/requested.scopes": ex.asked["scope"]}
	}
	input := func(ex said) map[string]string {
		all := joined(asks("oauth", who), map[string]string{"request/audience": ex.asked["audience"], "request/scopes": ""})
		for i, scope := range strings.Fields(ex.asked["scope"]) {
			all[fmt.Sprintf("request/scopes/%d", i)] = scope
		}
		return all
	}
	tr.check(got[0], tr.always("login"), success, newLogon, ex.at(), event("oauth.login.granted", 1, "oauth default: handed out "+who), as("oauth", who, until),
		tr.decided(ex, ex), asked(ex), tr.saw(input(ex), held(who, until)))

	got = tr.records("login", 1, append(variables, "OAUTH_SCOPES=admin")...)
	ex = tr.last("Token")
	tr.check(got[0], tr.always("login"), notAuthorized, ex.at(), as("oauth", who, ""), tr.decided(ex, ex), asked(ex), tr.saw(input(ex)),
		tr.refused("oauth", 1, ex.answered["error"],
			"exchanging the token at "+strings.TrimPrefix(server.URL, "http://")+": "+ex.answered["error"]+": the service does not grant the scopes"))
}
