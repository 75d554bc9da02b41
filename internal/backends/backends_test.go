package backends

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/gcp"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc/oidctest"
	"bitbucket-oidc/internal/vault"
)

const (
	role     = "arn:aws:iam::123456789012:role/deploy"
	provider = "projects/210987654321/locations/global/workloadIdentityPools/pipelines/providers/bitbucket"
	canary   = "hunter2"
)

// configuration is what one run reads.
type configuration struct {
	vars     *config.Vars
	set      Set
	AWS      *aws.Config
	GCP      *gcp.Config
	Vault    *vault.Config
	lifetime time.Duration
	owner    *config.Owner
}

// load reads a configuration from these variables and no others.
func load(t *testing.T, variables ...string) (configuration, error) {
	t.Helper()
	token := "BITBUCKET_STEP_OIDC_TOKEN=" + oidctest.JWT(`{"iss":"https://i","aud":"a","sub":"s","exp":4102444800}`)
	var c configuration
	c.vars = config.New(append([]string{token}, variables...), config.Step{}, Variables())
	c.lifetime, c.owner = c.vars.MinimumLifetime(), c.vars.Owner()
	c.set = Load(c.vars, c.vars.Token())
	for _, b := range c.set.Make(nil, nil) {
		switch b := b.(type) {
		case *aws.Backend:
			c.AWS = &b.Config
		case *gcp.Backend:
			c.GCP = &b.Config
		case *vault.Backend:
			c.Vault = &b.Config
		}
	}
	return c, c.vars.Err()
}

func TestDefaults(t *testing.T) {
	c, err := load(
		t, "AWS_OIDC_ROLE_ARN= "+role+" ", "AWS_MAX_ATTEMPTS=x", "AWS_PROFILE=missing", "AWS_USE_FIPS_ENDPOINT= off ",
		"AWS_REGION=  ", "GCP_WORKLOAD_IDENTITY_PROVIDER="+provider,
		"GCP_SERVICE_ACCOUNT=deploy@my-project.iam.gserviceaccount.com", "AWS_SESSION_DURATION=", "MINIMUM_LIFETIME= ",
	)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.AWS; a.Region != "us-east-1" || a.Duration != time.Hour || a.SessionName != "bitbucket-oidc" || a.Roles[0].Profile != "default" || a.Endpoint != "" {
		t.Errorf("AWS: %+v", a)
	}
	if g := c.GCP; g.Project != "my-project" || g.Lifetime != time.Hour || !slices.Equal(g.Scopes, []string{"https://www.googleapis.com/auth/cloud-platform"}) ||
		g.STSEndpoint != "https://sts.googleapis.com" || g.IAMCredentialsEndpoint != "https://iamcredentials.googleapis.com" || g.Universe != "googleapis.com" {
		t.Errorf("GCP: %+v", g)
	}
	if dir := c.vars.Text("OUTPUT_DIR"); dir != ".bitbucket-oidc" || c.owner != nil || c.lifetime != 0 {
		t.Errorf("output: %q, %+v, minimum %v", dir, c.owner, c.lifetime)
	}
}

func TestValues(t *testing.T) {
	c, err := load(t, "AWS_OIDC_ROLE_ARN="+role, "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-central-1", "AWS_SESSION_DURATION=5400",
		"AWS_OIDC_ROLES_COUNT=2", "AWS_OIDC_ROLES_0=dev=arn:aws:iam::210987654321:role/a=b", "AWS_OIDC_ROLES_1= prod = arn:aws:iam::210987654321:role/p ",
		"AWS_ALLOWED_ACCOUNTS=123456789012, 210987654321,,", "AWS_ENDPOINT_URL=https://a.example/", "AWS_ENDPOINT_URL_STS=https://b.example/",
		"OUTPUT_OWNER=1000:1001", "MINIMUM_LIFETIME=45m",
		"GCP_WORKLOAD_IDENTITY_PROVIDER=//iam.googleapis.com/"+provider, "GCP_SCOPES=openid\nhttps://a,b\r\n", "GCP_UNIVERSE_DOMAIN=example.goog",
		"GCP_STS_ENDPOINT=https://sts-x.p.googleapis.com/", "GCP_TOKEN_LIFETIME=12h", "GCP_PROJECT=example.com:project")
	if err != nil {
		t.Fatal(err)
	}
	a := c.AWS
	if a.Region != "eu-west-1" || a.Duration != 90*time.Minute || len(a.Roles) != 3 || a.Roles[1].Profile != "dev" || a.Roles[1].ARN.Role != "a=b" ||
		a.Roles[2].Profile != "prod" || !slices.Equal(c.set.AllowedAccounts, []string{"123456789012", "210987654321"}) || a.Endpoint != "https://b.example" {
		t.Errorf("AWS: %+v", a)
	}
	g := c.GCP
	if !slices.Equal(g.Scopes, []string{"openid", "https://a,b"}) || g.STSEndpoint != "https://sts-x.p.googleapis.com" ||
		g.IAMCredentialsEndpoint != "https://iamcredentials.example.goog" || g.Lifetime != 12*time.Hour || g.Project != "example.com:project" {
		t.Errorf("GCP: %+v", g)
	}
	if o := c.owner; o.UID != 1000 || o.GID != 1001 || c.lifetime != 45*time.Minute {
		t.Errorf("owner %+v, minimum %v", o, c.lifetime)
	}
}

// TestCertificatesComeFromTheBuildDirectory: by a path that begins there, which env.sh then has in full.
func TestCertificatesComeFromTheBuildDirectory(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewTLSServer(nil)
	server.Close()
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(dir+"/ca.pem", data, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, "BITBUCKET_CLONE_DIR="+dir, "AWS_OIDC_ROLE_ARN="+role, "AWS_CA_BUNDLE=ca.pem",
		"VAULT_ADDR=https://vault.example", "VAULT_ROLE=deploy", "VAULT_CACERT=ca.pem")
	if err != nil || c.AWS.RootCAs == nil || c.Vault.RootCAs == nil || c.Vault.CACert != dir+"/ca.pem" {
		t.Errorf("%v, %+v", err, c.Vault)
	}
	t.Chdir(dir)
	if c, err = load(t, "VAULT_ADDR=https://vault.example", "VAULT_ROLE=deploy", "VAULT_CACERT=ca.pem"); err != nil || !filepath.IsAbs(c.Vault.CACert) {
		t.Errorf("%v, %+v", err, c.Vault)
	}
}

// TestNobodyWritesTheCertificates: a named pipe in the checkout is an error at once.
func TestNobodyWritesTheCertificates(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/ca.pem", 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := load(t, "BITBUCKET_CLONE_DIR="+dir, "AWS_OIDC_ROLE_ARN="+role, "AWS_CA_BUNDLE=ca.pem")
	if err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE: the file cannot be read") {
		t.Error(err)
	}
}

func TestRegion(t *testing.T) {
	for _, c := range []struct {
		partition, asked string
		endpoint         string
		want             string // empty for an error
	}{
		{"aws", "", "", "us-east-1"},
		{"aws", "eu-west-1", "", "eu-west-1"},
		{"aws-cn", "", "", "cn-north-1"},
		{"aws-cn", "cn-northwest-1", "", "cn-northwest-1"},
		{"aws-us-gov", "", "", "us-gov-west-1"},
		{"aws-eusc", "", "", "eusc-de-east-1"},
		{"aws-eusc", "eusc-de-east-1", "", "eusc-de-east-1"},
		{"aws-iso", "us-iso-east-1", "", "us-iso-east-1"},
		{"aws-iso", "", "", ""},
		{"aws-cn", "eu-west-1", "", ""},
		{"aws", "cn-north-1", "https://sts.example", ""},
		{"aws", "us-gov-west-1", "", ""},
		{"minio", "eu-west-1", "https://sts.example", "eu-west-1"},
		{"minio", "", "https://sts.example", "us-east-1"},
		{"minio", "eu-west-1", "", ""},
	} {
		got, err := load(t, "AWS_OIDC_ROLE_ARN=arn:"+c.partition+":iam::123456789012:role/x", "AWS_REGION="+c.asked, "AWS_ENDPOINT_URL_STS="+c.endpoint)
		if (err == nil) != (c.want != "") || err == nil && got.AWS.Region != c.want {
			t.Errorf("%s, %q: %v, want %q", c.partition, c.asked, err, c.want)
		}
	}
}

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
