package backends

import (
	"encoding/base64"
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
	enc := base64.RawURLEncoding.EncodeToString
	token := "BITBUCKET_STEP_OIDC_TOKEN=" + enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(`{"iss":"https://i","aud":"a","sub":"s","exp":4102444800}`)) + "." + enc([]byte("s"))
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
	c, err := load(t, "AWS_OIDC_ROLE_ARN= "+role+" ", "AWS_MAX_ATTEMPTS=x", "AWS_PROFILE=missing", "AWS_USE_FIPS_ENDPOINT= off ", "AWS_REGION=  ", "GCP_WORKLOAD_IDENTITY_PROVIDER="+provider,
		"GCP_SERVICE_ACCOUNT=deploy@my-project.iam.gserviceaccount.com", "AWS_SESSION_DURATION=", "MINIMUM_LIFETIME= ")
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
	if _, err := load(t, "BITBUCKET_CLONE_DIR="+dir, "AWS_OIDC_ROLE_ARN="+role, "AWS_CA_BUNDLE=ca.pem"); err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE: the file cannot be read") {
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
		{nil, "no backend is configured"},
		{[]string{"AWS_AWS_OIDC_ROLE_ARN=" + role, "SERVICES_PULUMI_ORG=acme"}, "no backend is configured"},
		{[]string{"AWS_REGION=eu-west-1", "GCP_PROJECT=my-project", "GCP_STS_ENDPOINT=https://x.example"}, "no backend is configured"},
		{[]string{aws, "BITBUCKET_STEP_OIDC_TOKEN="}, "BITBUCKET_STEP_OIDC_TOKEN: missing"},
		{[]string{aws, "BITBUCKET_STEP_OIDC_TOKEN=" + canary}, "token: 1 parts"},
		{[]string{"AWS_OIDC_ROLE_ARN=" + canary}, "AWS_OIDC_ROLE_ARN: not an ARN: expected a role's ARN"},
		{[]string{"AWS_OIDC_ROLE_ARN=arn:aws:sts::123456789012:assumed-role/deploy/x"}, "AWS_OIDC_ROLE_ARN: the ARN of a session"},
		{[]string{"AWS_OIDC_ROLE_ARN=arn:minio:iam:::role/x"}, "needs AWS_ENDPOINT_URL_STS"},
		{[]string{"AWS_OIDC_ROLES=" + canary}, "AWS_OIDC_ROLES: 7 characters of letters and digits: expected profile=role-arn"},
		{[]string{"AWS_OIDC_ROLES=a b=" + role}, "AWS_OIDC_ROLES: "},
		{[]string{"AWS_OIDC_ROLES=a=" + role + ",a=" + role}, "AWS_OIDC_ROLES: profile a twice"},
		{[]string{aws, "AWS_OIDC_ROLES=default=" + role}, "AWS_OIDC_ROLES: profile default twice"},
		{[]string{"AWS_OIDC_ROLES= , "}, "AWS_OIDC_ROLES: an empty list"},
		{[]string{"AWS_OIDC_ROLES_COUNT=" + canary}, "AWS_OIDC_ROLES_COUNT: 7 characters of letters and digits: expected a number"},
		{[]string{"AWS_OIDC_ROLES_COUNT=-1"}, "AWS_OIDC_ROLES_COUNT: "},
		{[]string{"AWS_OIDC_ROLES_COUNT=999999999999"}, "AWS_OIDC_ROLES_COUNT: "},
		{[]string{"AWS_OIDC_ROLES_COUNT=2", "AWS_OIDC_ROLES_0=a=" + role}, "AWS_OIDC_ROLES_1: missing"},
		{[]string{"AWS_OIDC_ROLES_COUNT=3", "AWS_OIDC_ROLES_1=a=" + role}, "AWS_OIDC_ROLES_0, AWS_OIDC_ROLES_2: missing"},
		{[]string{"AWS_OIDC_ROLES_COUNT=0", "AWS_ECR_REGISTRIES_COUNT=0"}, "no backend is configured"},
		{[]string{"AWS_OIDC_ROLES_COUNT=1", "AWS_OIDC_ROLES_0=a=" + role, "AWS_OIDC_ROLES=a=" + role}, "AWS_OIDC_ROLES: set together with AWS_OIDC_ROLES_COUNT"},
		{[]string{aws, "AWS_REGION=" + canary}, "AWS_REGION: 7 characters"},
		{[]string{aws, "AWS_DEFAULT_REGION=eu-west-1.evil.example"}, "AWS_DEFAULT_REGION: "},
		{[]string{aws, "AWS_REGION=cn-north-1"}, "AWS_REGION: cn-north-1 is of partition aws-cn, role deploy of partition aws"},
		{[]string{aws, "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=evil.example/x"}, "AWS_DEFAULT_REGION: "},
		{[]string{"AWS_OIDC_ROLES=a=" + role + ",b=arn:aws-cn:iam::123456789012:role/x"}, "AWS_OIDC_ROLES: role x is of partition aws-cn, role deploy of partition aws"},
		{[]string{"AWS_OIDC_ROLES=a=arn:minio:iam:::role/x"}, "AWS_OIDC_ROLES: partition minio is not one of AWS"},
		{[]string{aws, "AWS_SESSION_DURATION=" + canary}, "AWS_SESSION_DURATION: 7 characters of letters and digits: expected a duration"},
		{[]string{aws, "AWS_SESSION_DURATION=14m59s"}, "AWS_SESSION_DURATION: 14m59s: expected 15m to 12h"},
		{[]string{aws, "AWS_SESSION_DURATION=12h1s"}, "AWS_SESSION_DURATION: "},
		{[]string{aws, "AWS_SESSION_DURATION=-1h"}, "AWS_SESSION_DURATION: "},
		{[]string{aws, "AWS_SESSION_NAME=x"}, "AWS_SESSION_NAME: 1 character: expected 2 to 64"},
		{[]string{aws, "AWS_SESSION_POLICY=" + canary}, "AWS_SESSION_POLICY: "},
		{[]string{aws, "AWS_SESSION_POLICY=[]"}, "AWS_SESSION_POLICY: "},
		{[]string{aws, "AWS_SESSION_POLICY=null"}, "AWS_SESSION_POLICY: "},
		{[]string{aws, `AWS_SESSION_POLICY={"a":"→"}`}, "AWS_SESSION_POLICY: "},
		{[]string{aws, `AWS_SESSION_POLICY={"a":"` + strings.Repeat("x", 2048) + `"}`}, "expected at most 2048"},
		{[]string{aws, "AWS_SESSION_POLICY_ARNS=" + canary}, "AWS_SESSION_POLICY_ARNS: "},
		{[]string{aws, "AWS_SESSION_POLICY_ARNS=" + strings.Repeat("arn:aws:iam::aws:policy/ReadOnlyAccess,", 11)}, "AWS_SESSION_POLICY_ARNS: 11 policies"},
		{[]string{aws, "AWS_ALLOWED_ACCOUNTS=" + canary}, "AWS_ALLOWED_ACCOUNTS: "},
		{[]string{aws, "AWS_ALLOWED_ACCOUNTS= , "}, "AWS_ALLOWED_ACCOUNTS: an empty list"},
		{[]string{aws, "AWS_ALLOWED_ACCOUNTS_COUNT=0"}, "AWS_ALLOWED_ACCOUNTS: an empty list"},
		{[]string{aws, "AWS_ENDPOINT_URL_STS=http://sts.example.com"}, "AWS_ENDPOINT_URL_STS: not https"},
		{[]string{aws, "AWS_ENDPOINT_URL=https://u:" + canary + "@example.com"}, "AWS_ENDPOINT_URL: a URL with a user name"},
		{[]string{aws, "AWS_USE_FIPS_ENDPOINT=" + canary}, "AWS_USE_FIPS_ENDPOINT: "},
		{[]string{aws, "AWS_SESSION_DURATION=900.5s"}, "AWS_SESSION_DURATION: 15m0.5s: expected whole seconds"},
		{[]string{aws, "AWS_CA_BUNDLE=/nonexistent/" + canary}, "AWS_CA_BUNDLE: the file cannot be read"},
		{[]string{aws, "AWS_CA_BUNDLE=/dev/zero"}, "AWS_CA_BUNDLE: the file cannot be read"},
		{[]string{aws, "AWS_CA_BUNDLE=backends.go"}, "AWS_CA_BUNDLE: no certificate"},
		{[]string{aws, "SSL_CERT_FILE=/nonexistent/" + canary}, "SSL_CERT_FILE: the file cannot be read"},
		{[]string{gcp, "AWS_SESSION_NAME=x1"}, "AWS_SESSION_NAME: set without AWS_OIDC_ROLE_ARN"},
		{[]string{gcp, "AWS_ALLOWED_ACCOUNTS_COUNT=1", "AWS_ALLOWED_ACCOUNTS_0=123456789012"}, "AWS_ALLOWED_ACCOUNTS: set without"},
		{[]string{aws, "GCP_SERVICE_ACCOUNT=a@b.example"}, "GCP_SERVICE_ACCOUNT: set without GCP_WORKLOAD_IDENTITY_PROVIDER"},
		{[]string{aws, "GCP_SCOPES=openid"}, "GCP_SCOPES: set without"},
		{[]string{"GCP_WORKLOAD_IDENTITY_PROVIDER=" + canary}, "GCP_WORKLOAD_IDENTITY_PROVIDER: not a provider's resource name"},
		{[]string{"GCP_WORKLOAD_IDENTITY_PROVIDER=projects/my-project/locations/global/workloadIdentityPools/pool/providers/prov"}, "project's id where its number belongs"},
		{[]string{"GCP_WORKLOAD_IDENTITY_PROVIDER=projects/1/locations/global/workloadIdentityPools/pool"}, "a pool, without its provider"},
		{[]string{gcp, "GCP_SERVICE_ACCOUNT=" + canary}, "GCP_SERVICE_ACCOUNT: "},
		{[]string{gcp, "GCP_SERVICE_ACCOUNT=a@b.example:generateIdToken?x=/../"}, "GCP_SERVICE_ACCOUNT: "},
		{[]string{gcp, "AWS_CHAIN_ROLE_ARNS=" + role}, "AWS_CHAIN_ROLE_ARNS: set without AWS_OIDC_ROLE_ARN"},
		{[]string{"AWS_OIDC_ROLES=a=" + role, "AWS_CHAIN_ROLE_ARNS=" + role}, "AWS_CHAIN_ROLE_ARNS: set without AWS_OIDC_ROLE_ARN"},
		{[]string{aws, "AWS_CHAIN_EXTERNAL_ID=abc"}, "AWS_CHAIN_EXTERNAL_ID: set without AWS_CHAIN_ROLE_ARNS"},
		{[]string{aws, "AWS_CHAIN_TAGS=yes"}, "AWS_CHAIN_TAGS: set without AWS_CHAIN_ROLE_ARNS"},
		{[]string{aws, "AWS_CHAIN_TAGS=" + canary}, "AWS_CHAIN_TAGS: 7 characters"},
		{[]string{aws, "AWS_CHAIN_ROLE_ARNS=" + canary}, "AWS_CHAIN_ROLE_ARNS: not an ARN"},
		{[]string{aws, "AWS_CHAIN_ROLE_ARNS=arn:aws-cn:iam::123456789012:role/x"}, "AWS_CHAIN_ROLE_ARNS: role x is of partition aws-cn, role deploy of partition aws"},
		{[]string{aws, "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_EXTERNAL_ID=a"}, "AWS_CHAIN_EXTERNAL_ID: 1 character"},
		{[]string{aws, "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_EXTERNAL_ID=" + strings.Repeat("x", 1225)}, "AWS_CHAIN_EXTERNAL_ID: 1225 characters"},
		{[]string{aws, "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_SOURCE_IDENTITY=a b"}, "AWS_CHAIN_SOURCE_IDENTITY: 3 characters"},
		{[]string{gcp, "AWS_REFRESHABLE=on"}, "AWS_REFRESHABLE: set without AWS_OIDC_ROLE_ARN"},
		{[]string{aws, "AWS_REFRESHABLE=on", "AWS_SESSION_DURATION=2h"}, "AWS_REFRESHABLE: set together with AWS_SESSION_DURATION other than 1h"},
		{[]string{aws, "AWS_REFRESHABLE=on", "AWS_SESSION_POLICY={}"}, "AWS_REFRESHABLE: set together with AWS_SESSION_POLICY"},
		{[]string{aws, "AWS_REFRESHABLE=on", "AWS_SESSION_POLICY_ARNS=arn:aws:iam::aws:policy/ReadOnlyAccess"}, "AWS_REFRESHABLE: set together with AWS_SESSION_POLICY_ARNS"},
		{[]string{aws, "AWS_REFRESHABLE=on", "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_TAGS=on", "BITBUCKET_COMMIT=abc"}, "AWS_REFRESHABLE: set together with AWS_CHAIN_TAGS"},
		{[]string{aws, "AWS_REFRESHABLE=on", "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_CHAIN_SOURCE_IDENTITY=me"}, "AWS_REFRESHABLE: set together with AWS_CHAIN_SOURCE_IDENTITY"},
		{[]string{aws, "AWS_REFRESHABLE=on", "AWS_CHAIN_ROLE_ARNS=" + role, "AWS_OIDC_ROLES=default-chain-0=" + role}, "profile default-chain-0 is a name that the chain uses"},
		{[]string{gcp, "AWS_ECR_REGISTRIES=x"}, "AWS_ECR_REGISTRIES: set without AWS_OIDC_ROLE_ARN"},
		{[]string{aws, "AWS_ECR_REGISTRIES=" + canary}, "AWS_ECR_REGISTRIES: not the host of an ECR registry"},
		{[]string{aws, "AWS_ECR_REGISTRIES=123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"}, "AWS_ECR_REGISTRIES: "},
		{[]string{aws, "AWS_ECR_REGISTRIES=123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example"}, "AWS_ECR_REGISTRIES: "},
		{[]string{gcp, "GCP_DELEGATES=a@b.example"}, "GCP_DELEGATES: set without GCP_SERVICE_ACCOUNT"},
		{[]string{gcp, "GCP_ID_TOKEN_AUDIENCE=https://x"}, "GCP_ID_TOKEN_AUDIENCE: set without GCP_SERVICE_ACCOUNT"},
		{[]string{gcp, "GCP_SERVICE_ACCOUNT=a@b.example", "GCP_DELEGATES=" + canary}, "GCP_DELEGATES: 7 characters"},
		{[]string{gcp, "GCP_SERVICE_ACCOUNT=a@b.example", "GCP_DELEGATES=projects/x/y/serviceAccounts/a@b.example"}, "GCP_DELEGATES: "},
		{[]string{gcp, "GCP_DOCKER_REGISTRIES=" + canary}, "GCP_DOCKER_REGISTRIES: 7 characters"},
		{[]string{gcp, "GCP_DOCKER_REGISTRIES=https://gcr.io"}, "GCP_DOCKER_REGISTRIES: "},
		{[]string{gcp, "GCP_PROJECT=no spaces"}, "GCP_PROJECT: "},
		{[]string{gcp, "GCP_TOKEN_LIFETIME=13h"}, "GCP_TOKEN_LIFETIME: 13h0m0s"},
		{[]string{gcp, "GCP_UNIVERSE_DOMAIN=example.com/" + canary}, "GCP_UNIVERSE_DOMAIN: "},
		{[]string{gcp, "GCP_UNIVERSE_DOMAIN=" + canary}, "GCP_UNIVERSE_DOMAIN: "},
		{[]string{gcp, "GCP_SCOPES=a b"}, "GCP_SCOPES: "},
		{[]string{gcp, "GCP_STS_ENDPOINT=http://evil.example"}, "GCP_STS_ENDPOINT: not https"},
		{[]string{gcp, "GCP_IAMCREDENTIALS_ENDPOINT=https://x.example/v1"}, "GCP_IAMCREDENTIALS_ENDPOINT: a URL with a path"},
		{[]string{gcp, "OUTPUT_OWNER=" + canary}, "OUTPUT_OWNER: "},
		{[]string{gcp, "OUTPUT_OWNER=1000:"}, "OUTPUT_OWNER: "},
		{[]string{gcp, "OUTPUT_OWNER=1:-1"}, "OUTPUT_OWNER: "},
		{[]string{gcp, "OUTPUT_OWNER=-1"}, "OUTPUT_OWNER: "},
		{[]string{gcp, "MINIMUM_LIFETIME=" + canary}, "MINIMUM_LIFETIME: "},
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
