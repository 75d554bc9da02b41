package diagnosis

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
)

const (
	issuer   = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	audience = "ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"
	repo     = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	env      = "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"
	stepUUID = "{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}"
	token    = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
)

func TestRead(t *testing.T) {
	const (
		said      = "hint: the token says: issuer " + issuer + ", audience " + audience + ", subject " + repo + ":" + env + ":" + stepUUID
		assuming  = "✖ aws default: assuming arn:aws:iam::123456789012:role/"
		noTrust   = "the role does not exist, or its trust policy does not let this step in"
		noChain   = "the role does not exist, or its trust policy does not let the role before it in"
		noBinding = "this step may not impersonate the service account, or it does not exist"
	)
	for _, c := range []struct {
		name, text           string
		service, code, means string // service empty: no cause
		condition, paste     string // parts
		grounds              Grounds
		causes, unexplained  int
		inNone               string
	}{
		{
			name:    "login's own line",
			text:    "2026-11-28 \x1b[31m" + assuming + "team/deploy: AccessDenied: " + noTrust + "\n" + said,
			service: "aws", code: "AccessDenied", means: noTrust, causes: 1,
			condition: "the trust policy of role deploy lets in this deployment environment", paste: `"` + repo + ":" + env + `:*"`,
		},
		{
			name: "of an account", text: assuming + "x: AccessDenied: " + noTrust,
			service: "aws", code: "AccessDenied", means: noTrust, causes: 1,
			paste: "arn:aws:iam::123456789012:oidc-provider/api.bitbucket.org", inNone: "own account",
		},
		{
			name: "a chain",
			text: "✖ aws default: assuming arn:aws:iam::210987654321:role/prod from arn:aws:iam::123456789012:role/hub: " +
				"AccessDenied: " + noChain,
			service: "aws", code: "AccessDenied", means: noChain, causes: 1,
			paste: `"arn:aws:iam::123456789012:role/hub"`,
		},
		{
			name: "several lines",
			text: "✖ vault default: logging in as auth/jwt/role/ci: the role does not bind the token's audience\n" +
				"✖ okta default: asking: status 404: no such team or workload connection\n" +
				"✖ gcp default: something new\n",
			service: "vault", means: "the role does not bind the token's audience", causes: 3, unexplained: 1,
			condition: "add it to the audiences of the role", paste: "vault write auth/jwt/role/ci",
		},
		{
			name:    "two roles of one account",
			text:    assuming + "a: AccessDenied: " + noTrust + "\n" + assuming + "b: AccessDenied: " + noTrust + "\n" + assuming + "a: AccessDenied: " + noTrust,
			service: "aws", code: "AccessDenied", means: noTrust, causes: 2, condition: "the trust policy of role a",
		},
		{
			name:    "a service that is data",
			text:    "✖ jfrog default: exchanging the token at x.jfrog.io: invalid_grant: the token has expired",
			service: "jfrog", code: "invalid_grant", means: "the token has expired", causes: 1,
			condition: "call the pipe early in the step",
		},
		{
			name:    "a guardrail",
			text:    "✖ guard production-from-main: Only main becomes a production role.\nhint: Merge first.",
			service: "guard", code: "production-from-main", means: "a guardrail refused the login", causes: 1,
			condition: "Only main becomes a production role.",
		},

		{
			name: "aws cli",
			text: "An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: " +
				"Not authorized to perform sts:AssumeRoleWithWebIdentity",
			service: "aws", code: "AccessDenied", means: noTrust, grounds: Likely, causes: 1, paste: "{REPOSITORY_UUID}:*",
		},
		{
			name: "aws sdk for Go",
			text: "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400, RequestID: 1, " +
				"InvalidIdentityToken: No OpenIDConnect provider found in your account for " + issuer,
			service: "aws", code: "InvalidIdentityToken", means: "the role's account has no OIDC provider for the token's issuer", grounds: Likely, causes: 1,
			paste: "create-open-id-connect-provider",
		},
		{
			name: "terraform",
			text: "Error: Cannot assume IAM Role: operation error STS: AssumeRole, api error AccessDenied: " +
				"User: arn:aws:sts::123456789012:assumed-role/hub/x is not authorized to perform: sts:TagSession " +
				"on resource: arn:aws:iam::210987654321:role/prod because no identity-based policy allows the sts:TagSession action",
			service: "aws", code: "AccessDenied", means: "sts:TagSession is missing in a policy of this role or of the role before it", grounds: Likely, causes: 1,
		},
		{
			name: "a phrase without its code", text: "Incorrect token audience (AssumeRoleWithWebIdentity)",
			service: "aws", code: "InvalidIdentityToken", means: "the OIDC provider does not list the token's audience", grounds: Likely, causes: 1,
			paste: "add-client-id-to-open-id-connect-provider",
		},
		{
			name: "google's STS",
			text: "google.auth.exceptions.OAuthError: ('Error code unauthorized_client: The given credential is rejected by the attribute condition.', " +
				`'{"error":"unauthorized_client"}')`,
			service: "gcp", code: "unauthorized_client", means: "the provider's attribute condition rejects this step", grounds: Likely, causes: 1,
			paste: "--attribute-condition=",
		},
		{
			name: "google's impersonation",
			text: `('Unable to acquire impersonated credentials', '{"error": {"code": 403, "message": "Permission ` +
				`'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).", "status": "PERMISSION_DENIED"}}') ` +
				"deploy@shop.iam.gserviceaccount.com",
			service: "gcp", code: "PERMISSION_DENIED", means: noBinding, grounds: Likely, causes: 1,
			paste: "add-iam-policy-binding deploy@shop.iam.gserviceaccount.com",
		},
		{
			name: "google's API off",
			text: "googleapi: Error 403: IAM Service Account Credentials API has not been used in project 1 before or it is disabled. " +
				"PERMISSION_DENIED SERVICE_DISABLED",
			service: "gcp", code: "PERMISSION_DENIED", means: "the API is switched off in the project", grounds: Likely, causes: 1,
			paste: "gcloud services enable",
		},
		{
			name: "vault's tool",
			text: "Error writing data to auth/jwt/login: Error making API request.\n\n" +
				"URL: PUT https://vault.example/v1/auth/jwt/login\nCode: 400. Errors:\n\n" +
				"* error validating token: invalid audience (aud) claim: audience claim does not match any bound audience",
			service: "vault", means: "the role does not bind the token's audience", grounds: Likely, causes: 1,
		},
		{
			name: "vault's bound claims", text: `* error validating claims: claim "repositoryUuid" does not match any associated bound claim values`,
			service: "vault", means: "the role binds another repositoryUuid than the token's", grounds: Likely, causes: 1, paste: "vault read auth/MOUNT/role/ROLE_NAME",
		},
		{
			name: "vault's bound claims, as login prints them",
			text: "✖ vault default: logging in as auth/jwt/role/ci: the role binds another branchName than the token's\n" +
				"hint: the token's branchName is feature/x; see bound_claims of the role: vault read auth/jwt/role/ci",
			service: "vault", means: "the role binds another branchName than the token's", causes: 1,
			condition: "the token's branchName is feature/x", paste: "vault read auth/jwt/role/ci",
		},
		{
			name: "vault has no key", text: "* error validating token: error verifying token signature: no known key successfully validated the token signature",
			service: "vault", means: "Vault does not accept the token", grounds: Likely, causes: 1,
		},
		{
			name: "quoted by Python", text: `ERROR: (gcloud.storage.ls) ('Error code invalid_grant: Error connecting to the given credential\'s issuer.', '{}')`,
			service: "gcp", code: "invalid_grant", means: "Google cannot reach the provider's issuer, or it is not the token's", grounds: Likely, causes: 1,
		},
		{
			name: "a registry", text: "User: arn:aws:sts::123456789012:assumed-role/deploy/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *",
			service: "aws", code: "AccessDeniedException", means: "the session may not ask for it", grounds: Likely, causes: 1,
			condition: "arn:aws:iam::123456789012:role/deploy needs a policy",
		},
		{
			name: "okta", text: "okta: status 404 from the team's endpoint",
			service: "okta", means: "no such team or workload connection", grounds: Likely, causes: 1,
		},
		{
			name: "an oauth server", text: `{"error": "invalid_scope"}`,
			service: "oauth", code: "invalid_scope", means: "the service does not grant the scopes", grounds: Likely, causes: 1,
		},

		{name: "nothing known", text: "npm ERR! missing script: deploy"},
		{name: "empty"},
		{
			name: "a token in it", text: "AccessDenied AssumeRoleWithWebIdentity " + token,
			service: "aws", code: "AccessDenied", means: noTrust, grounds: Likely, causes: 1, inNone: "eyJ",
		},
		{
			name: "names that a shell would run",
			text: assuming + "x;$(id): AccessDenied: " + noTrust + "\n" +
				"hint: the token says: issuer https://a$(id), audience a, subject {*}:*",
			service: "aws", code: "AccessDenied", means: noTrust, causes: 1, inNone: "$(id)",
		},

		{
			name: "a variable's name ends like a placeholder",
			text: "✖ gcp default: exchanging the token at projects/2/locations/global/workloadIdentityPools/pool/providers/bb: " +
				"invalid_target: the provider does not exist, or it is disabled or deleted",
			service: "gcp", code: "invalid_target", means: "the provider does not exist, or it is disabled or deleted", causes: 1,
			condition: "GCP_WORKLOAD_IDENTITY_PROVIDER names the project by number", paste: "workloadIdentityPools/pool/providers/bb",
		},
		{
			name: "a chain's first role", text: assuming + "prod from arn:aws:iam::210987654321:role/team/hub: AccessDenied: " + noChain,
			service: "aws", code: "AccessDenied", means: noChain, causes: 1,
			condition: "the trust policy of role prod lets in hub with this statement", paste: `"arn:aws:iam::210987654321:role/team/hub"`,
		},
		{
			name: "login's own hint has what no table knows",
			text: assuming + "deploy: ValidationError: the role does not allow sessions as long as asked for\n" +
				"hint: lower AWS_SESSION_DURATION (now 2h0m0s), or raise the role's maximum: aws iam update-role --role-name deploy --max-session-duration 7200",
			service: "aws", code: "ValidationError", means: "the role does not allow sessions as long as asked for", causes: 1,
			condition: "lower AWS_SESSION_DURATION (now 2h0m0s)", paste: "--role-name deploy --max-session-duration 7200",
		},
		{
			name: "a hint that login would not print",
			text: assuming + "deploy: ValidationError: the role does not allow sessions as long as asked for\n" +
				"hint: lower AWS_SESSION_DURATION (now 2h0m0s), or raise the role's maximum: aws iam update-role --role-name deploy;$(id) --max-session-duration 7200",
			service: "aws", code: "ValidationError", means: "the role does not allow sessions as long as asked for", causes: 1,
			condition: "lower AWS_SESSION_DURATION, or raise", paste: "--role-name deploy --max-session-duration", inNone: "$(id)",
		},
		{
			name: "the call that was refused",
			text: "✖ gcp default: exchanging the token at projects/2/locations/global/workloadIdentityPools/pool/providers/bb: " +
				"access_denied: VPC Service Controls or an organization policy refuses the exchange",
			service: "gcp", code: "access_denied", means: "VPC Service Controls or an organization policy refuses the exchange", causes: 1,
			condition: "keeps this step from sts.googleapis.com", inNone: "iamcredentials",
		},
		{
			name: "a service's own setup", text: "✖ pulumi default: exchanging the token at api.pulumi.com: status 401: the service does not accept the step's token",
			service: "pulumi", means: "the service does not accept the step's token", causes: 1, condition: "the step needs the audience urn:pulumi:org:ORGANIZATION",
		},

		{
			name: "no table has it",
			text: "14:02 ✖ aws default: valid for 59m only, less than MINIMUM_LIFETIME (2h0m)\x1b[0m\r\n" +
				"14:02 hint: set AWS_SESSION_DURATION to 2h: a command\r\n14:02   aws iam x\r\n14:02 warning: y",
			service: "aws", means: "aws default: valid for 59m only, less than MINIMUM_LIFETIME (2h0m)", causes: 1, unexplained: 1, grounds: Quoted,
			condition: "set AWS_SESSION_DURATION to 2h: a command", paste: "aws iam x", inNone: "warning",
		},
		{
			name: "no table has it, and no hint", text: "✖ token: expired",
			means: "token: expired", causes: 1, unexplained: 1, grounds: Quoted, condition: "what the line says",
		},
		{
			name: "a mistake about guardrails is no guardrail", text: "✖ guard test takes one file of guardrails\nhint: see bitbucket-oidc guard test --help",
			means: "guard test takes one file of guardrails", causes: 1, unexplained: 1, grounds: Quoted, condition: "see bitbucket-oidc guard",
		},
		{
			name: "the access map",
			text: "✖ guard map: The access map does not grant this. aws default (arn:aws:iam::123456789012:role/other): " +
				"no grant of the map names arn:aws:iam::123456789012:role/other\nhint: add a grant to access.yaml by pull request, or sign in to what it grants",
			service: "guard", code: "map", means: "a guardrail refused the login", causes: 1, inNone: "guard test",
			condition: "no grant of the map names", paste: `- become: ["arn:aws:iam::123456789012:role/other"]`,
		},
		{
			name: "a guardrail with text to paste", text: "✖ guard pinned: Pin it.\nhint: name the digest:\n  image: a@sha256:1",
			service: "guard", code: "pinned", means: "a guardrail refused the login", causes: 1, condition: "the rule says: Pin it.", paste: "image: a@sha256:1",
		},
		{
			name: "two that share their hints", text: "✖ guard one: No.\n✖ guard two: No.\nhint: Merge first.",
			service: "guard", code: "one", means: "a guardrail refused the login", causes: 2, condition: "the rule says: No.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			causes, unexplained, err := Read(c.text, nil)
			if err != nil || len(causes) != c.causes || unexplained != c.unexplained {
				t.Fatalf("%d causes, %d unexplained, %v: %+v", len(causes), unexplained, err, causes)
			}
			if c.causes == 0 {
				return
			}
			got := causes[0]
			if got.Service != c.service || got.Code != c.code || got.Means != c.means || got.Grounds != c.grounds ||
				!strings.Contains(got.Condition, c.condition) || !strings.Contains(got.Paste, c.paste) || got.Condition == "" {
				t.Errorf("%+v", got)
			}
			all := strings.Join(append(got.Advice, got.Means, got.Condition, got.Paste), "\n")
			if c.inNone != "" && strings.Contains(all, c.inNone) {
				t.Errorf("%q is repeated", c.inNone)
			}
		})
	}
}

// The step's claims take the place of the placeholders, and none of these is left.
func TestClaimsFillIn(t *testing.T) {
	id, err := bitbucket.Parts{
		Workspace: "acme", WorkspaceUUID: "7baee083-4f25-4a97-8a9a-0fde1b623b45", RepositoryUUID: repo, EnvironmentUUID: env, Now: time.Unix(1800000000, 0),
	}.Identity()
	if err != nil {
		t.Fatal(err)
	}
	all, err := tables()
	if err != nil {
		t.Fatal(err)
	}
	for name, table := range all {
		for _, row := range table.Rows {
			r := reader{tables: all, claims: &id.Claims}
			c := r.cause(name, row, failure{})
			text := strings.Join(append(c.Advice, c.Condition, c.Paste), "\n")
			for _, placeholder := range []string{"WORKSPACE", "REPOSITORY_UUID", "ENVIRONMENT_UUID", "STEP_UUID", "WORKSPACE_UUID", "0001-01-01"} {
				if strings.Contains(text, placeholder) {
					t.Errorf("%s %s: %s is left in\n%s", name, c.Means, placeholder, text)
				}
			}
			if c.Condition == "" {
				t.Errorf("%s %s: no condition", name, c.Means)
			}
		}
	}
}

// The names that a failure has take the place of placeholders, and of no part of a longer word: variables end like them.
func TestNamesLeaveVariablesAlone(t *testing.T) {
	all, err := tables()
	if err != nil {
		t.Fatal(err)
	}
	const line = "arn:aws:iam::123456789012:role/spoke from arn:aws:iam::210987654321:role/hub, deploy@shop.iam.gserviceaccount.com, auth/jwt/role/ci, " +
		"projects/7/locations/global/workloadIdentityPools/pool-a/providers/provider-b"
	spoilt := regexp.MustCompile(`[A-Z0-9]_[a-z]|[a-z0-9]_[A-Z]|ACCOUNT_ID:|ROLE_NAME|\bMOUNT\b|\bPOOL\b|PROJECT_NUMBER`)
	for name, table := range all {
		for _, row := range table.Rows {
			c := reader{tables: all}.cause(name, row, failure{line: line})
			text := strings.ReplaceAll(strings.Join(append(c.Advice, c.Condition, c.Paste), "\n"), "BILLING_ACCOUNT_ID", "")
			if found := spoilt.FindString(text); found != "" {
				t.Errorf("%s %s: %q in\n%s", name, c.Means, found, text)
			}
		}
	}
}
