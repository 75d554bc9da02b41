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
