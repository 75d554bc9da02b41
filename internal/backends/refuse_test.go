package backends

import (
	"strings"
	"testing"

	"bitbucket-oidc/internal/hint"
)

// TestRefuses has a row for each thing that can be wrong before a request is sent.
func TestRefuses(t *testing.T) {
	aws, gcp := "AWS_OIDC_ROLE_ARN="+role, "GCP_WORKLOAD_IDENTITY_PROVIDER="+provider
	for _, c := range []struct {
		variables []string
		says      string
	}{
		{says: "no backend is configured"},
		{variables: []string{"AWS_AWS_OIDC_ROLE_ARN=" + role, "SERVICES_PULUMI_ORG=acme"}, says: "no backend is configured"},
		{
			variables: []string{"AWS_REGION=eu-west-1", "GCP_PROJECT=my-project", "GCP_STS_ENDPOINT=https://x.example"},
			says:      "no backend is configured",
		},
		{variables: []string{aws, "BITBUCKET_STEP_OIDC_TOKEN="}, says: "BITBUCKET_STEP_OIDC_TOKEN: missing"},
		{variables: []string{aws, "BITBUCKET_STEP_OIDC_TOKEN=" + canary}, says: "token: 1 parts"},
		{variables: []string{"AWS_OIDC_ROLE_ARN=" + canary}, says: "AWS_OIDC_ROLE_ARN: not an ARN: expected a role's ARN"},
		{
			variables: []string{"AWS_OIDC_ROLE_ARN=arn:aws:sts::123456789012:assumed-role/deploy/x"},
			says:      "AWS_OIDC_ROLE_ARN: the ARN of a session",
		},
		{variables: []string{"AWS_OIDC_ROLE_ARN=arn:minio:iam:::role/x"}, says: "needs AWS_ENDPOINT_URL_STS"},
		{
			variables: []string{"AWS_OIDC_ROLES=" + canary},
			says:      "AWS_OIDC_ROLES: 7 characters of letters and digits: expected profile=role-arn",
		},
		{variables: []string{"AWS_OIDC_ROLES=a b=" + role}, says: "AWS_OIDC_ROLES: "},
		{variables: []string{"AWS_OIDC_ROLES=a=" + role + ",a=" + role}, says: "AWS_OIDC_ROLES: profile a twice"},
		{variables: []string{aws, "AWS_OIDC_ROLES=default=" + role}, says: "AWS_OIDC_ROLES: profile default twice"},
		{
			variables: []string{aws, "AWS_ECR_REGISTRIES=123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"},
			says:      "cn-north-1.amazonaws.com.cn: roles of partition aws cannot log in there",
		},
		{variables: []string{"AWS_OIDC_ROLE_ARN=" + role + "," + role}, says: "AWS_OIDC_ROLE_ARN: several ARNs where one is expected"},
		{variables: []string{"AWS_OIDC_ROLE_ARN=" + role + " > " + role}, says: "AWS_OIDC_ROLE_ARN: several ARNs"},
		{variables: []string{"AWS_OIDC_ROLES=DEFAULT=" + role}, says: "AWS_OIDC_ROLES: profile DEFAULT: the AWS CLI"},
		{variables: []string{"AWS_OIDC_ROLES= , "}, says: "AWS_OIDC_ROLES: an empty list"},
		{
			variables: []string{"AWS_OIDC_ROLES_COUNT=" + canary},
			says:      "AWS_OIDC_ROLES_COUNT: 7 characters of letters and digits: expected a number",
		},
		{variables: []string{"AWS_OIDC_ROLES_COUNT=-1"}, says: "AWS_OIDC_ROLES_COUNT: "},
		{variables: []string{"AWS_OIDC_ROLES_COUNT=999999999999"}, says: "AWS_OIDC_ROLES_COUNT: "},
		{variables: []string{"AWS_OIDC_ROLES_COUNT=2", "AWS_OIDC_ROLES_0=a=" + role}, says: "AWS_OIDC_ROLES_1: missing"},
		{
			variables: []string{"AWS_OIDC_ROLES_COUNT=3", "AWS_OIDC_ROLES_1=a=" + role},
			says:      "AWS_OIDC_ROLES_0, AWS_OIDC_ROLES_2: missing",
		},
		{variables: []string{"AWS_OIDC_ROLES_COUNT=0", "AWS_ECR_REGISTRIES_COUNT=0"}, says: "no backend is configured"},
		{
			variables: []string{"AWS_OIDC_ROLES_COUNT=1", "AWS_OIDC_ROLES_0=a=" + role, "AWS_OIDC_ROLES=a=" + role},
			says:      "AWS_OIDC_ROLES: set together with AWS_OIDC_ROLES_COUNT",
		},
		{variables: []string{aws, "AWS_REGION=" + canary}, says: "AWS_REGION: 7 characters"},
		{variables: []string{aws, "AWS_DEFAULT_REGION=eu-west-1.evil.example"}, says: "AWS_DEFAULT_REGION: "},
		{
			variables: []string{aws, "AWS_REGION=cn-north-1"},
			says:      "AWS_REGION: cn-north-1 is of partition aws-cn, role deploy of partition aws",
		},
		{variables: []string{aws, "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=evil.example/x"}, says: "AWS_DEFAULT_REGION: "},
		{
			variables: []string{"AWS_OIDC_ROLES=a=" + role + ",b=arn:aws-cn:iam::123456789012:role/x"},
			says:      "AWS_OIDC_ROLES: role x is of partition aws-cn, role deploy of partition aws",
		},
		{
			variables: []string{"AWS_OIDC_ROLES=a=arn:minio:iam:::role/x"},
			says:      "AWS_OIDC_ROLES: partition minio is not one of AWS",
		},
		{
			variables: []string{aws, "AWS_SESSION_DURATION=" + canary},
			says:      "AWS_SESSION_DURATION: 7 characters of letters and digits: expected a duration",
		},
		{variables: []string{aws, "AWS_SESSION_DURATION=14m59s"}, says: "AWS_SESSION_DURATION: 14m59s: expected 15m to 12h"},
		{variables: []string{aws, "AWS_SESSION_DURATION=12h1s"}, says: "AWS_SESSION_DURATION: "},
		{variables: []string{aws, "AWS_SESSION_DURATION=-1h"}, says: "AWS_SESSION_DURATION: "},
		{variables: []string{aws, "AWS_SESSION_NAME=x"}, says: "AWS_SESSION_NAME: 1 character: expected 2 to 64"},
		{variables: []string{aws, "AWS_SESSION_POLICY=" + canary}, says: "AWS_SESSION_POLICY: "},
		{variables: []string{aws, "AWS_SESSION_POLICY=[]"}, says: "AWS_SESSION_POLICY: "},
		{variables: []string{aws, "AWS_SESSION_POLICY=null"}, says: "AWS_SESSION_POLICY: "},
		{variables: []string{aws, `AWS_SESSION_POLICY={"a":"→"}`}, says: "AWS_SESSION_POLICY: "},
		{
			variables: []string{aws, `AWS_SESSION_POLICY={"a":"` + strings.Repeat("x", 2048) + `"}`},
			says:      "expected at most 2048",
		},
		{variables: []string{aws, "AWS_SESSION_POLICY_ARNS=" + canary}, says: "AWS_SESSION_POLICY_ARNS: "},
		{
			variables: []string{aws, "AWS_SESSION_POLICY_ARNS=" + strings.Repeat("arn:aws:iam::aws:policy/ReadOnlyAccess,", 11)},
			says:      "AWS_SESSION_POLICY_ARNS: 11 policies",
		},
		{variables: []string{aws, "AWS_ALLOWED_ACCOUNTS=" + canary}, says: "AWS_ALLOWED_ACCOUNTS: "},
		{variables: []string{aws, "AWS_ALLOWED_ACCOUNTS= , "}, says: "AWS_ALLOWED_ACCOUNTS: an empty list"},
		{variables: []string{aws, "AWS_ALLOWED_ACCOUNTS_COUNT=0"}, says: "AWS_ALLOWED_ACCOUNTS: an empty list"},
		{variables: []string{aws, "AWS_ENDPOINT_URL_STS=http://sts.example.com"}, says: "AWS_ENDPOINT_URL_STS: not https"},
		{
			variables: []string{aws, "AWS_ENDPOINT_URL=https://u:" + canary + "@example.com"},
			says:      "AWS_ENDPOINT_URL: a URL with a user name",
		},
		{variables: []string{aws, "AWS_USE_FIPS_ENDPOINT=" + canary}, says: "AWS_USE_FIPS_ENDPOINT: "},
		{
			variables: []string{aws, "AWS_SESSION_DURATION=900.5s"},
			says:      "AWS_SESSION_DURATION: 15m0.5s: expected whole seconds",
		},
		{variables: []string{aws, "AWS_CA_BUNDLE=/nonexistent/" + canary}, says: "AWS_CA_BUNDLE: the file cannot be read"},
		{variables: []string{aws, "AWS_CA_BUNDLE=/dev/zero"}, says: "AWS_CA_BUNDLE: the file cannot be read"},
		{variables: []string{aws, "AWS_CA_BUNDLE=backends.go"}, says: "AWS_CA_BUNDLE: no certificate"},
		{variables: []string{aws, "SSL_CERT_FILE=/nonexistent/" + canary}, says: "SSL_CERT_FILE: the file cannot be read"},
		{variables: []string{gcp, "AWS_SESSION_NAME=x1"}, says: "AWS_SESSION_NAME: set without AWS_OIDC_ROLE_ARN"},
		{
			variables: []string{gcp, "AWS_ALLOWED_ACCOUNTS_COUNT=1", "AWS_ALLOWED_ACCOUNTS_0=123456789012"},
			says:      "AWS_ALLOWED_ACCOUNTS: set without",
		},
		{
			variables: []string{aws, "GCP_SERVICE_ACCOUNT=a@b.example"},
			says:      "GCP_SERVICE_ACCOUNT: set without GCP_WORKLOAD_IDENTITY_PROVIDER",
		},
		{variables: []string{aws, "GCP_SCOPES=openid"}, says: "GCP_SCOPES: set without"},
		{
			variables: []string{"GCP_WORKLOAD_IDENTITY_PROVIDER=" + canary},
			says:      "GCP_WORKLOAD_IDENTITY_PROVIDER: not a provider's resource name",
		},
		{
			variables: []string{
				"GCP_WORKLOAD_IDENTITY_PROVIDER=projects/my-project/locations/global/workloadIdentityPools/pool/providers/prov",
			},
			says: "project's id where its number belongs",
		},
		{
			variables: []string{"GCP_WORKLOAD_IDENTITY_PROVIDER=projects/1/locations/global/workloadIdentityPools/pool"},
			says:      "a pool, without its provider",
		},
		{variables: []string{gcp, "GCP_SERVICE_ACCOUNT=" + canary}, says: "GCP_SERVICE_ACCOUNT: "},
		{variables: []string{gcp, "GCP_SERVICE_ACCOUNT=a@b.example:generateIdToken?x=/../"}, says: "GCP_SERVICE_ACCOUNT: "},
		{variables: []string{gcp, "AWS_CHAIN_ROLE_ARNS=" + role}, says: "AWS_CHAIN_ROLE_ARNS: set without AWS_OIDC_ROLE_ARN"},
		{
			variables: []string{"AWS_OIDC_ROLES=a=" + role, "AWS_CHAIN_ROLE_ARNS=" + role},
			says:      "AWS_CHAIN_ROLE_ARNS: set without AWS_OIDC_ROLE_ARN",
		},
		{variables: []string{aws, "AWS_CHAIN_EXTERNAL_ID=abc"}, says: "AWS_CHAIN_EXTERNAL_ID: set without AWS_CHAIN_ROLE_ARNS"},
		{variables: []string{aws, "AWS_CHAIN_TAGS=yes"}, says: "AWS_CHAIN_TAGS: set without AWS_CHAIN_ROLE_ARNS"},
		{variables: []string{aws, "AWS_CHAIN_TAGS=" + canary}, says: "AWS_CHAIN_TAGS: 7 characters"},
		{variables: []string{aws, "AWS_CHAIN_ROLE_ARNS=" + canary}, says: "AWS_CHAIN_ROLE_ARNS: not an ARN"},
		{
			variables: []string{aws, "AWS_CHAIN_ROLE_ARNS=arn:aws-cn:iam::123456789012:role/x"},
			says:      "AWS_CHAIN_ROLE_ARNS: role x is of partition aws-cn, role deploy of partition aws",
		},
		{
			variables: []string{aws, "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_EXTERNAL_ID=a"},
			says:      "AWS_CHAIN_EXTERNAL_ID: 1 character",
		},
		{
			variables: []string{aws, "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_EXTERNAL_ID=" + strings.Repeat("x", 1225)},
			says:      "AWS_CHAIN_EXTERNAL_ID: 1225 characters",
		},
		{
			variables: []string{aws, "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_SOURCE_IDENTITY=a b"},
			says:      "AWS_CHAIN_SOURCE_IDENTITY: 3 characters",
		},
		{variables: []string{gcp, "AWS_REFRESHABLE=on"}, says: "AWS_REFRESHABLE: set without AWS_OIDC_ROLE_ARN"},
		{
			variables: []string{aws, "AWS_REFRESHABLE=on", "AWS_SESSION_DURATION=2h"},
			says:      "AWS_REFRESHABLE: set together with AWS_SESSION_DURATION other than 1h",
		},
		{
			variables: []string{aws, "AWS_REFRESHABLE=on", "AWS_SESSION_POLICY={}"},
			says:      "AWS_REFRESHABLE: set together with AWS_SESSION_POLICY",
		},
		{
			variables: []string{aws, "AWS_REFRESHABLE=on", "AWS_SESSION_POLICY_ARNS=arn:aws:iam::aws:policy/ReadOnlyAccess"},
			says:      "AWS_REFRESHABLE: set together with AWS_SESSION_POLICY_ARNS",
		},
		{
			variables: []string{
				aws, "AWS_REFRESHABLE=on", "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_TAGS=on", "BITBUCKET_COMMIT=abc",
			},
			says: "AWS_REFRESHABLE: set together with AWS_CHAIN_TAGS",
		},
		{
			variables: []string{aws, "AWS_REFRESHABLE=on", "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_SOURCE_IDENTITY=me"},
			says:      "AWS_REFRESHABLE: set together with AWS_CHAIN_SOURCE_IDENTITY",
		},
		{
			variables: []string{
				aws, "AWS_REFRESHABLE=on", "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_OIDC_ROLES=default-chain-0=" + role,
			},
			says: "profile default-chain-0 is a name that the chain uses",
		},
		{variables: []string{gcp, "AWS_ECR_REGISTRIES=x"}, says: "AWS_ECR_REGISTRIES: set without AWS_OIDC_ROLE_ARN"},
		{variables: []string{aws, "AWS_ECR_REGISTRIES=" + canary}, says: "AWS_ECR_REGISTRIES: not the host of an ECR registry"},
		{
			variables: []string{aws, "AWS_ECR_REGISTRIES=123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"},
			says:      "AWS_ECR_REGISTRIES: ",
		},
		{
			variables: []string{aws, "AWS_ECR_REGISTRIES=123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example"},
			says:      "AWS_ECR_REGISTRIES: ",
		},
		{variables: []string{gcp, "GCP_DELEGATES=a@b.example"}, says: "GCP_DELEGATES: set without GCP_SERVICE_ACCOUNT"},
		{
			variables: []string{gcp, "GCP_ID_TOKEN_AUDIENCE=https://x"},
			says:      "GCP_ID_TOKEN_AUDIENCE: set without GCP_SERVICE_ACCOUNT",
		},
		{
			variables: []string{gcp, "GCP_SERVICE_ACCOUNT=a@b.example", "GCP_DELEGATES=" + canary},
			says:      "GCP_DELEGATES: 7 characters",
		},
		{
			variables: []string{
				gcp, "GCP_SERVICE_ACCOUNT=a@b.example", "GCP_DELEGATES=projects/x/y/serviceAccounts/a@b.example",
			},
			says: "GCP_DELEGATES: ",
		},
		{variables: []string{gcp, "GCP_DOCKER_REGISTRIES=" + canary}, says: "GCP_DOCKER_REGISTRIES: 7 characters"},
		{variables: []string{gcp, "GCP_DOCKER_REGISTRIES=https://gcr.io"}, says: "GCP_DOCKER_REGISTRIES: "},
		{variables: []string{gcp, "GCP_PROJECT=no spaces"}, says: "GCP_PROJECT: "},
		{variables: []string{gcp, "GCP_TOKEN_LIFETIME=13h"}, says: "GCP_TOKEN_LIFETIME: 13h0m0s"},
		{variables: []string{gcp, "GCP_UNIVERSE_DOMAIN=example.com/" + canary}, says: "GCP_UNIVERSE_DOMAIN: "},
		{variables: []string{gcp, "GCP_UNIVERSE_DOMAIN=" + canary}, says: "GCP_UNIVERSE_DOMAIN: "},
		{variables: []string{gcp, "GCP_SCOPES=a b"}, says: "GCP_SCOPES: "},
		{variables: []string{gcp, "GCP_STS_ENDPOINT=http://evil.example"}, says: "GCP_STS_ENDPOINT: not https"},
		{
			variables: []string{gcp, "GCP_IAMCREDENTIALS_ENDPOINT=https://x.example/v1"},
			says:      "GCP_IAMCREDENTIALS_ENDPOINT: a URL with a path",
		},
		{variables: []string{gcp, "OUTPUT_OWNER=" + canary}, says: "OUTPUT_OWNER: "},
		{variables: []string{gcp, "OUTPUT_OWNER=1000:"}, says: "OUTPUT_OWNER: "},
		{variables: []string{gcp, "OUTPUT_OWNER=1:-1"}, says: "OUTPUT_OWNER: "},
		{variables: []string{gcp, "OUTPUT_OWNER=-1"}, says: "OUTPUT_OWNER: "},
		{variables: []string{gcp, "MINIMUM_LIFETIME=" + canary}, says: "MINIMUM_LIFETIME: "},
	} {
		t.Run(c.says+" "+strings.Join(c.variables, " ")[:min(60, len(strings.Join(c.variables, " ")))], func(t *testing.T) {
			_, err := load(t, c.variables...)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
			failures := hint.Failures(err)
			if len(failures) != 1 {
				t.Errorf("%d failures, want 1: %v", len(failures), err)
			}
			for _, f := range failures {
				if len(hint.All(f)) == 0 {
					t.Errorf("no hint: %v", f)
				}
				if text := f.Error() + strings.Join(hint.All(f), ""); strings.Contains(text, canary) {
					t.Errorf("the value is quoted: %s", text)
				}
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := load(t, "BITBUCKET_STEP_OIDC_TOKEN=", "AWS_OIDC_ROLE_ARN=x", "AWS_SESSION_DURATION=x", "GCP_SERVICE_ACCOUNT=x@y.example", "OUTPUT_OWNER=x")
	if got := len(hint.Failures(err)); got != 5 {
		t.Errorf("%d problems, want 5:\n%v", got, err)
	}
}
