package test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

// TestTruth holds every value of records against what happened. A value more, or one fewer, fails.
func TestTruth(t *testing.T) {
	pipe, err := program.Build(t.Context(), t.TempDir(), "-ldflags=-w")
	if err != nil {
		t.Fatal(err)
	}
	role := "AWS_OIDC_ROLE_ARN=" + cloud.RoleARN
	inline := sha256.Sum256([]byte(inlinePolicy))
	provider := "GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName
	project := func(id string) map[string]string {
		return map[string]string{"user/account/uid": id, "user/account/type_id": "11", "user/account/type": "GCP Project",
			"cloud/account/uid": id, "cloud/account/type_id": "11", "cloud/account/type": "GCP Project"}
	}
	byGoogle := func(operation, service string) map[string]string {
		return map[string]string{"metadata/profiles/0": "cloud", "metadata/profiles/1": "security_control", "cloud/provider": "GCP",
			"api/operation": operation, "api/version": "v1", "api/service/name": service, "service/name": service, "api/response/code": "200"}
	}

	t.Run("AWS granted, under guardrails and session policies", func(t *testing.T) {
		tr := newTruth(t, pipe)
		if err := os.WriteFile(filepath.Join(tr.clone, "guard.yaml"), []byte(truthRules), 0o600); err != nil {
			t.Fatal(err)
		}
		got := tr.records("login", 0, role, "AWS_REGION=eu-west-1", "AWS_SESSION_DURATION=30m", "AWS_SESSION_POLICY="+inlinePolicy, "MINIMUM_LIFETIME=10m",
			"AWS_SESSION_POLICY_ARNS=arn:aws:iam::aws:policy/ReadOnlyAccess,arn:aws:iam::aws:policy/SecurityAudit",
			"AWS_ALLOWED_ACCOUNTS="+cloud.AWSAccount, "GUARD_FILE=guard.yaml")
		s := tr.session()
		tr.check(got[0], tr.always("login"), success, newLogon, tr.asked(), event("aws.login.granted", 1, "aws default: handed out "+s.Principal()), at(tr.world.STS),
			tr.byAWS("AssumeRoleWithWebIdentity", "sts.amazonaws.com", "2011-06-15", "eu-west-1", "200"), tr.handedOut(s),
			judgedBy("Allowed", "any-branch", "pass", "short", "pass", "no-admin", "pass", "allowed-accounts", "pass", "minimum-lifetime", "pass"),
			map[string]string{
				"unmapped/requested.duration": "1800", "unmapped/requested.narrowed": "true", "unmapped/requested.session_policy_sha256": hex.EncodeToString(inline[:]),
				"unmapped/requested.session_policies": "arn:aws:iam::aws:policy/ReadOnlyAccess arn:aws:iam::aws:policy/SecurityAudit",
			})

		got = tr.records("logout", 0)
		tr.check(got[0], tr.always("logout"), ends("2", "Logoff", "1", "1", "1", "Allowed", "Informational"), onlyControl,
			event("logout", 1, "aws default: files removed; the session ends by itself"),
			map[string]string{
				"service/name": "bitbucket-oidc", "user/uid": s.Principal(), "user/name": "bitbucket-shop-42", "unmapped/target": "aws default",
				"unmapped/requested.target": s.Principal(), "session/uid": s.Principal(), "session/is_remote": "true",
				"session/expiration_time": fmt.Sprint(s.Expires.UnixMilli()), "session/expiration_reason": "files removed; the session ends by itself",
			})
	})

	t.Run("AWS refused", func(t *testing.T) {
		tr := newTruth(t, pipe)
		tr.world.AWS.SetRole(cloud.Role{ARN: cloud.RoleARN})
		got := tr.records("login", 1, role, "AWS_REGION=eu-west-1")
		detail := got[0]["status_detail"]
		if !strings.Contains(detail, cloud.RoleARN) || !strings.Contains(detail, "AccessDenied") {
			t.Errorf("status_detail %q", detail)
		}
		tr.check(got[0], tr.always("login"), ends("1", "Logon", "2", "2", "26", "Unauthorized", "High"), tr.asked(),
			event("aws.login.refused", 1, detail), at(tr.world.STS), tr.byAWS("AssumeRoleWithWebIdentity", "sts.amazonaws.com", "2011-06-15", "eu-west-1", "403"),
			map[string]string{"status_code": "AccessDenied", "status_detail": detail, "api/response/error": "AccessDenied", "api/response/error_message": detail})
	})

	t.Run("denied by a guardrail", func(t *testing.T) {
		tr := newTruth(t, pipe)
		if err := os.WriteFile(filepath.Join(tr.clone, "guard.yaml"), []byte(truthRules), 0o600); err != nil {
			t.Fatal(err)
		}
		admin := "arn:aws:iam::123456789012:role/admin"
		got := tr.records("login", 1, "AWS_OIDC_ROLE_ARN="+admin, "GUARD_FILE=guard.yaml", "AWS_REGION=eu-west-1")
		sum := sha256.Sum256([]byte(truthRules))
		tr.check(got[0], tr.always("login"), ends("6", "Preauth", "2", "2", "2", "Blocked", "High"), onlyControl, tr.asked(), at(tr.world.STS),
			event("guardrail.denied", 1, "aws default: guardrail no-admin: No administrator."), judgedBy("Denied", "any-branch", "pass", "no-admin", "fail"),
			map[string]string{
				"is_alert": "true", "service/name": "bitbucket-oidc", "user/uid": admin, "unmapped/requested.target": admin,
				"status_code": "guardrail.no-admin", "status_detail": "no-admin: No administrator.",
				"firewall_rule/name": "no-admin", "firewall_rule/uid": "sha256:" + hex.EncodeToString(sum[:]), "firewall_rule/version": commit,
			})
		if n := len(tr.world.STS.Requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})

	t.Run("a registry of AWS", func(t *testing.T) {
		tr := newTruth(t, pipe)
		const host = cloud.AWSAccount + ".dkr.ecr.us-west-2.amazonaws.com"
		got := tr.records("login", 0, role, "AWS_REGION=eu-west-1", "AWS_ECR_REGISTRIES="+host, "AWS_ENDPOINT_URL_ECR="+tr.world.STS.URL)
		s := tr.session()
		tr.check(got[1], tr.always("login"), success, newLogon, tr.asked(),
			event("aws.login.granted", 2, "aws "+host+": handed out "+s.Principal()), at(tr.world.STS),
			tr.byAWS("GetAuthorizationToken", "ecr.amazonaws.com", "2015-09-21", "us-west-2", "200"), tr.handedOut(s),
			map[string]string{"unmapped/target": "aws " + host, "unmapped/requested.duration": "", "session/uid_alt": ""})
	})

	t.Run("Google, a service account", func(t *testing.T) {
		tr := newTruth(t, pipe)
		const email = cloud.ServiceAccountEmail
		got := tr.records("login", 0, provider, "GCP_SERVICE_ACCOUNT="+email, "GCP_TOKEN_LIFETIME=30m")
		tr.check(got[0], tr.always("login"), success, newLogon, event("gcp.login.granted", 1, "gcp default: handed out "+email), at(tr.world.GoogleSTS),
			project("my-project"), byGoogle("GenerateAccessToken", "iamcredentials.googleapis.com"),
			map[string]string{
				"user/uid": email, "user/name": email, "user/email_addr": email, "session/uid": email, "session/issuer": email, "session/is_remote": "true",
				"session/created_time": "decided", "session/expiration_time": got[0]["session/expiration_time"],
				"unmapped/target": "gcp default", "unmapped/requested.target": email, "unmapped/requested.duration": "1800",
				"unmapped/requested.scopes": "https://www.googleapis.com/auth/cloud-platform", "unmapped/gcp.provider": cloud.ProviderName,
			})
	})

	t.Run("Google, direct", func(t *testing.T) {
		tr := newTruth(t, pipe)
		got := tr.records("login", 0, provider, "GCP_PROJECT=shop-project")
		tr.check(got[0], tr.always("login"), success, newLogon, event("gcp.login.granted", 1, "gcp default: handed out "+cloud.ProviderName), at(tr.world.GoogleSTS),
			project("shop-project"), byGoogle("ExchangeToken", "sts.googleapis.com"),
			map[string]string{
				"user/uid": cloud.ProviderName, "user/name": cloud.ProviderName, "session/uid": cloud.ProviderName, "session/issuer": cloud.ProviderName,
				"session/is_remote": "true", "session/created_time": "decided", "session/expiration_time": got[0]["session/expiration_time"],
				"unmapped/target": "gcp default", "unmapped/requested.target": cloud.ProviderName, "unmapped/gcp.provider": cloud.ProviderName,
				"unmapped/requested.scopes": "https://www.googleapis.com/auth/cloud-platform",
			})
	})

	t.Run("Vault", func(t *testing.T) {
		tr := newTruth(t, pipe)
		server := tr.others.Servers["vault"]
		got := tr.records("login", 0, "VAULT_ADDR="+server.URL, "VAULT_ROLE="+cloud.VaultRole)
		name := "auth/jwt/role/" + cloud.VaultRole
		tr.check(got[0], tr.always("login"), success, newLogon, onlyControl, at(server),
			event("vault.login.granted", 1, "vault default: handed out "+got[0]["session/uid"]),
			map[string]string{
				"user/uid": got[0]["session/uid"], "user/name": name, "service/name": "vault", "session/uid": got[0]["session/uid"],
				"session/credential_uid": got[0]["session/credential_uid"], "session/issuer": name, "session/is_remote": "true", "session/created_time": "decided",
				"session/expiration_time": got[0]["session/expiration_time"],
				"unmapped/target":         "vault default", "unmapped/requested.target": name, "unmapped/request.uid": got[0]["unmapped/request.uid"],
			})
	})
}
