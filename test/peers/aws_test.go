package peers

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

const (
	runnerRole = "runner" // of the machine on which the step runs

	auditRole = "arn:aws:iam::123456789012:role/audit"

	deployIdentity = "eu-west-1 arn:aws:sts::123456789012:assumed-role/deploy/bitbucket-shop-42"
	auditIdentity  = "eu-west-1 arn:aws:sts::123456789012:assumed-role/audit/bitbucket-shop-42"
)

// TestAWS: a signature that STS takes proves key, secret, session token and region, so no reader has to print any.
func TestAWS(t *testing.T) {
	t.Parallel()
	region := "AWS_DEFAULT_REGION=eu-west-1"
	deploy := "AWS_OIDC_ROLE_ARN=" + cloud.RoleARN
	refreshable := "AWS_REFRESHABLE=true"

	testReaders(t, awsReaders(), []login{
		{name: "role", variables: []string{region, deploy}, caller: deployIdentity},
		{
			name:      "second-profile",
			variables: []string{region, deploy, "AWS_OIDC_ROLES=audit=" + auditRole},
			profile:   "audit",
			caller:    auditIdentity,
		},
		{
			name:      "refreshable",
			variables: []string{region, deploy, refreshable},
			caller:    deployIdentity,
			refreshes: true,
		},
		{
			name:      "refreshable-chain",
			variables: []string{region, deploy, refreshable, "AWS_CHAIN_ROLE_ARNS=" + auditRole},
			caller:    auditIdentity,
			refreshes: true,
		},
	}, tryInWorld)
}

func awsReaders() []reader {
	cli := func(p place) []string { return []string{"sts", "get-caller-identity", "--endpoint-url", p.url} }
	url := func(p place) []string { return []string{p.url} }

	return []reader{
		{name: "aws", find: onPath("aws"), args: cli, cannot: tooOld()},
		{name: "aws-debian", find: debian("aws"), args: cli, cannot: tooOld()},
		{name: "boto3", find: boto3(onPath("python3")), args: url, cannot: tooOld()},
		{name: "boto3-debian", find: boto3(debian("python3")), args: url, cannot: tooOld()},
		{name: "aws-sdk-js", find: node("sts.js"), args: url},
		{name: "aws-sdk-js-v2", find: node("sts-v2.js"), args: url, cannot: map[string]refusal{"refreshable-chain": {
			"Missing credentials in config", "signs in by no profile whose source is a profile that has only a token"}}},
		{name: "aws-sdk-go", find: goProgram("sts"), args: url},
		{name: "aws-sdk-go-v1", find: goProgram("sts-v1"), args: url},
		{name: "terraform-s3", find: terraform("s3"), args: terraformInit},
	}
}

// tooOld: Debian's Python clients are years behind what people install, and are what a build image may have. They read
// the same files, but nothing can send them to another STS for an exchange of their own.
func tooOld() map[string]refusal {
	r := refusal{
		says:  `Failed to connect to proxy URL: "` + deadProxy + `"`,
		means: "asks the real STS: older than AWS_ENDPOINT_URL_STS",
	}
	return map[string]refusal{"refreshable": r, "refreshable-chain": r}
}

// serveS3 is a bucket where Terraform kept nothing yet. Who asks for it has been to STS before.
func serveS3(rw http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".tfstate") {
		http.Error(rw, "<Error><Code>NoSuchKey</Code></Error>", http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(rw, `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`)
}

// serveMachine is the metadata service of a machine of EC2, as far as an SDK goes there for a role.
func (w *world) serveMachine(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/latest/api/token":
		rw.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = io.WriteString(rw, "metadata")
	case "/latest/meta-data/iam/security-credentials/":
		_, _ = io.WriteString(rw, runnerRole)
	case "/latest/meta-data/iam/security-credentials/" + runnerRole:
		w.mu.Lock()
		w.runner++
		w.mu.Unlock()
		_ = json.NewEncoder(rw).Encode(map[string]string{
			"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIARUNNER", "SecretAccessKey": "runner", "Token": "runner",
			"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		})
	default:
		http.NotFound(rw, r)
	}
}
