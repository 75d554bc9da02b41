package chaos

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/test/cloud"
)

// A request is one that a backend makes: a column of the matrix.
type request struct {
	name    string
	failure string // how the report of its failure begins
	logout  bool   // logout makes it, else login

	// is finds it among the requests that come to the same server.
	is func(r *http.Request) bool

	// fake is the server that answers it, behind faults.
	fake func(*stand) *cloud.Server

	// variables configure the backend, with the request's own server at endpoint.
	variables func(s *stand, endpoint string) []string

	// host is the public name of a server without an address variable.
	host string

	// succeeds has the faults that are none here, by group and name: the backend reads the status, or less than others do.
	succeeds []string

	before time.Duration // what TIMEOUT leaves, on a busy machine, to the requests before it

	after  int  // how many connections come to the server before the request's own
	shared bool // another request goes to the same server at the same time, and may take or leave a connection
	empty  bool // the answer has no body
}

const (
	chainedRole = "arn:aws:iam::" + cloud.AWSAccount + ":role/release"
	registry    = cloud.AWSAccount + ".dkr.ecr.eu-west-1.amazonaws.com"
)

func requests() []request {
	anything := func(*http.Request) bool { return true }
	sts := func(s *stand) *cloud.Server { return s.world.STS }
	iam := func(s *stand) *cloud.Server { return s.world.IAMCredentials }
	other := func(name string) func(*stand) *cloud.Server {
		return func(s *stand) *cloud.Server { return s.others.Servers[name] }
	}
	impersonation := func(s *stand, endpoint string) []string {
		return []string{
			"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName, "GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail,
			"GCP_STS_ENDPOINT=" + s.world.GoogleSTS.URL, "GCP_IAMCREDENTIALS_ENDPOINT=" + endpoint,
		}
	}
	vault := func(_ *stand, endpoint string) []string {
		return []string{"VAULT_ADDR=" + endpoint, "VAULT_ROLE=" + cloud.VaultRole}
	}
	oauth := func(grant string) func(*stand, string) []string {
		return func(_ *stand, endpoint string) []string {
			return []string{"OAUTH_TOKEN_URL=" + endpoint + "/oauth/token", "OAUTH_GRANT=" + grant, "OAUTH_AUDIENCE=" + cloud.OAuthAudience}
		}
	}
	return []request{
		{
			name: "AWS AssumeRoleWithWebIdentity", failure: "aws default", is: anything, fake: sts,
			variables: func(_ *stand, endpoint string) []string {
				return []string{"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_ENDPOINT_URL_STS=" + endpoint}
			},
		},
		{
			name: "AWS AssumeRole", failure: "aws default", is: hasParameter("Action=AssumeRole&"), fake: sts, after: 1,
			variables: func(_ *stand, endpoint string) []string {
				return []string{
					"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_CHAIN_ROLE_ARNS=" + chainedRole, "AWS_ENDPOINT_URL_STS=" + endpoint,
				}
			},
		},
		{
			name: "ECR GetAuthorizationToken", failure: "aws " + registry, fake: sts,
			is: func(r *http.Request) bool { return r.Header.Get("X-Amz-Target") != "" },
			variables: func(s *stand, endpoint string) []string {
				return []string{
					"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_ECR_REGISTRIES=" + registry,
					"AWS_ENDPOINT_URL_STS=" + s.world.STS.URL, "AWS_ENDPOINT_URL_ECR=" + endpoint,
				}
			},
		},
		{
			name: "ECR Public GetAuthorizationToken", failure: "aws public.ecr.aws", fake: sts,
			is: func(r *http.Request) bool { return r.Header.Get("X-Amz-Target") != "" },
			variables: func(s *stand, endpoint string) []string {
				return []string{
					"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_ECR_REGISTRIES=public.ecr.aws",
					"AWS_ENDPOINT_URL_STS=" + s.world.STS.URL, "AWS_ENDPOINT_URL_ECR_PUBLIC=" + endpoint,
				}
			},
		},
		{
			name: "Google STS token", failure: "gcp default", is: anything,
			fake: func(s *stand) *cloud.Server { return s.world.GoogleSTS },
			variables: func(_ *stand, endpoint string) []string {
				return []string{"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName, "GCP_STS_ENDPOINT=" + endpoint}
			},
		},
		{name: "Google generateAccessToken", failure: "gcp default", is: anything, fake: iam, variables: impersonation},
		{
			name: "Google generateIdToken", failure: "gcp id-token", fake: iam, shared: true,
			is: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ":generateIdToken") },
			variables: func(s *stand, endpoint string) []string {
				return append(impersonation(s, endpoint), "GCP_ID_TOKEN_AUDIENCE=https://shop.example.com")
			},
		},
		{name: "Vault login", failure: "vault default", is: anything, fake: other("vault"), variables: vault},
		{name: "Vault revoke-self", failure: "vault default", logout: true, empty: true, is: anything, fake: other("vault"), variables: vault},
		{
			name: "Okta issue_token", failure: "okta default", is: anything, fake: other("okta"),
			variables: func(_ *stand, endpoint string) []string {
				return []string{"OKTA_ORG_URL=" + endpoint, "OKTA_TEAM=" + cloud.OktaTeam, "OKTA_WORKLOAD_CONNECTION=" + cloud.OktaConnection}
			},
		},
		{name: "OAuth token-exchange", failure: "oauth default", is: anything, fake: other("oauth"), variables: oauth("token-exchange")},
		{name: "OAuth jwt-bearer", failure: "oauth default", is: anything, fake: other("oauth"), variables: oauth("jwt-bearer")},
		{
			name: "JFrog token", failure: "jfrog default", is: anything, fake: other("jfrog"),
			variables: func(_ *stand, endpoint string) []string {
				return []string{"JFROG_URL=" + endpoint, "JFROG_OIDC_PROVIDER=" + cloud.JFrogProvider}
			},
		},
		{
			name: "Cloudsmith openid", failure: "cloudsmith default", is: anything, fake: other("cloudsmith"), host: "api.cloudsmith.io",
			variables: func(*stand, string) []string {
				return []string{"CLOUDSMITH_ORG=" + cloud.CloudsmithOrg, "CLOUDSMITH_SERVICE=" + cloud.CloudsmithService}
			},
		},
		{
			name: "Databricks token", failure: "databricks default", is: anything, fake: other("databricks"),
			variables: func(_ *stand, endpoint string) []string {
				return []string{"DATABRICKS_HOST=" + endpoint, "DATABRICKS_CLIENT_ID=" + cloud.DatabricksClientID}
			},
		},
		{
			name: "Pulumi token", failure: "pulumi default", is: anything, fake: other("pulumi"), host: "api.pulumi.com",
			variables: func(*stand, string) []string { return []string{"PULUMI_ORG=" + cloud.PulumiOrg} },
		},
		recorded("OTLP logs", "RECORD_OTLP", nil, func(_ *stand, endpoint string) []string {
			return []string{"RECORD_OTLP=" + endpoint}
		}),
		recorded("Webhook POST", "RECORD_URL", statusOnly(), func(s *stand, endpoint string) []string {
			return []string{"RECORD_URL=" + endpoint + "/events", "RECORD_AUTHORIZATION=" + s.world.Sink.Authorization}
		}),
		recorded("Splunk HEC POST", "RECORD_URL", nil, func(s *stand, endpoint string) []string {
			return []string{
				"RECORD_URL=" + endpoint + "/services/collector/event", "RECORD_FORMAT=splunk",
				"RECORD_AUTHORIZATION=" + s.world.Sink.Authorization,
			}
		}),
		// A key that is there was stored by an attempt whose answer got lost.
		recorded("S3 PutObject", "RECORD_S3", append(statusOnly(), "Status: 412"), func(_ *stand, endpoint string) []string {
			return []string{"RECORD_S3=s3://audit/ci", "RECORD_S3_RETENTION=24h", "AWS_ENDPOINT_URL_S3=" + endpoint}
		}),
	}
}

// recorded is the request that sends records to one place. The login needs it: what the place does must not cost less than a failure of
// a cloud would.
func recorded(name, variable string, succeeds []string, variables func(*stand, string) []string) request {
	return request{
		name: name, failure: "record: " + variable, succeeds: succeeds, empty: name != "Splunk HEC POST", before: 2 * time.Second,
		is:   func(*http.Request) bool { return true },
		fake: func(s *stand) *cloud.Server { return s.world.SinkServer },
		variables: func(s *stand, endpoint string) []string {
			return append(variables(s, endpoint), "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "AWS_ENDPOINT_URL_STS="+s.world.STS.URL,
				"RECORD_REQUIRED=true", "RECORD_TIMEOUT=1h") // TIMEOUT bounds it, like the others
		},
	}
}

// statusOnly are the answers that say with their status that all is well, whatever else they say.
func statusOnly() []string {
	var all []string
	for _, name := range []string{"null", "{}", "a list", "100,000 brackets", "an XML entity that grows", "all that was asked, 200"} {
		all = append(all, "Answer: "+name)
	}
	return all
}

// meets is the fault as it is for this request.
func (q request) meets(f fault) fault {
	if slices.Contains(q.succeeds, f.group+": "+f.name) {
		f.verdict = harmless
	}
	return f
}

// hasParameter finds a text in the request's form.
func hasParameter(text string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return err == nil && bytes.Contains(append(body, '&'), []byte(text))
	}
}

// configure makes what the requests need beyond the default world.
func configure(s *stand, q request) {
	s.world.AWS.SetRole(cloud.Role{ARN: chainedRole, Trust: []cloud.Trust{{Actions: []string{"sts:AssumeRole"}, Role: cloud.RoleARN}}})
	if q.name == "OAuth jwt-bearer" {
		s.others.OAuth.Configure(func(c *cloud.OAuthConfig) { c.Grant = "jwt-bearer" })
	}
}

func (q request) String() string { return q.name }

// report is how the failure of this request begins on standard error.
func (q request) report() string { return fmt.Sprintf("✖ %s: ", q.failure) }
