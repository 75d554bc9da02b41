package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/test/cloud"
)

const (
	latency   = 50 * time.Millisecond // of a cloud that is far away
	manyRoles = 20
)

// A step is what Bitbucket gives to a step, and the clouds that trust it.
type step struct {
	binaries
	dir     string // private; holds all that is written
	token   string
	world   *cloud.World
	distant *cloud.Server // the same STS, which takes its time to answer

	tls       *httptest.Server // the same STS, by https
	collector *cloud.Server    // of records
}

func startStep(dir string, built binaries) (*step, error) {
	world, err := cloud.StartWorld()
	if err != nil {
		return nil, err
	}
	s := &step{binaries: built, dir: dir, world: world, token: world.Issuer.Token(cloud.DefaultStep())}
	for i := range manyRoles {
		s.world.AWS.SetRole(cloud.Role{ARN: numberedRole(i), Trust: []cloud.Trust{cloud.DefaultTrust(world.Issuer)}})
	}
	s.distant, err = cloud.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(latency):
			s.world.AWS.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	if err == nil {
		err = os.WriteFile(s.tokenFile(), []byte(s.token), 0o600)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *step) close() {
	s.world.Close()
	for _, server := range []*cloud.Server{s.distant, s.collector} {
		if server != nil {
			server.Close()
		}
	}
	if s.tls != nil {
		s.tls.Close()
	}
}

// tokenFile holds the token for clients that read it from a file.
func (s *step) tokenFile() string { return filepath.Join(s.dir, "token") }

// requests is how many the clouds have received so far.
func (s *step) requests() int {
	n := 0
	for _, server := range []*cloud.Server{s.world.STS, s.world.GoogleSTS, s.world.IAMCredentials, s.distant} {
		n += len(server.Requests())
	}
	return n
}

// mask replaces a secret by its kind.
func (s *step) mask(text string) string {
	for _, secret := range s.world.Secrets() {
		text = strings.ReplaceAll(text, secret.Value, "<"+secret.String()+">")
	}
	return text
}

// environment is the whole environment of a process: what a step has, and nothing from the shell that runs the bench.
func (s *step) environment(fresh string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + fresh,
		"CI=true",
		"BITBUCKET_BRANCH=main",
		"BITBUCKET_BUILD_NUMBER=42",
		"BITBUCKET_CLONE_DIR=" + fresh,
		"BITBUCKET_COMMIT=0123456789abcdef0123456789abcdef01234567",
		"BITBUCKET_PIPELINE_UUID=" + cloud.PipelineUUID,
		"BITBUCKET_REPO_FULL_NAME=" + cloud.Workspace + "/shop",
		"BITBUCKET_REPO_SLUG=shop",
		"BITBUCKET_REPO_UUID=" + cloud.RepositoryUUID,
		"BITBUCKET_STEP_OIDC_TOKEN=" + s.token,
		"BITBUCKET_STEP_UUID=" + cloud.StepUUID,
		"BITBUCKET_WORKSPACE=" + cloud.Workspace,
	}
}

// A subject is a process to measure.
type subject struct {
	id       id
	group    string
	label    string
	baseline id   // whose wall time it is compared with
	slow     bool // takes part in few rounds

	// requests is how many it must send: one that sends others is not what it says. With whatever, the clouds only count.
	requests int

	// prepare says what to run in a fresh folder, with which variables beside the step's.
	prepare func(fresh string) (command, variables []string, err error)

	version string // what it calls itself, if others wrote it
	missing string // why it cannot be measured here, if so
}

type id string

const (
	hello        id = "hello"
	libraries    id = "libraries"
	pipeVersion  id = "pipe-version"
	pipeBefore   id = "pipe-before"
	awsCurl      id = "aws-curl"
	awsLogin     id = "aws-login"
	gcpCurl      id = "gcp-curl"
	gcpLogin     id = "gcp-login"
	bothLogin    id = "both-login"
	slowerLogin  id = "slower-login" // as a baseline: of the two logins, the one that takes longer
	oneDistant   id = "one-distant"
	manyDistant  id = "many-distant"
	awsCLI       id = "aws-cli"
	awsCLIDebian id = "aws-cli-debian"
	awsNode      id = "aws-node"
	gcpGcloud    id = "gcp-gcloud"
	gcpNode      id = "gcp-node"

	tlsCurl        id = "tls-curl"
	tlsLogin       id = "tls-login"
	guardLogin     id = "guard-login"
	recordLogin    id = "record-login"
	otlpLogin      id = "otlp-login"
	advisorVersion id = "advisor-version"
	auditOne       id = "audit-one"
	auditMany      id = "audit-many"
	checkMany      id = "check-many"
)

const whatever = -1

const (
	groupStart   = "Starting a program"
	groupAWS     = "AWS, one role"
	groupGCP     = "Google, a service account"
	groupSeveral = "Several at once"
	groupTLS     = "AWS, one role, over TLS"
	groupGuard   = "AWS, with guardrails and records"
	groupJudging = "Judging"
)

// toAWS are the variables of a login with one role.
func (s *step) toAWS() []string {
	return []string{
		"AWS_ENDPOINT_URL_STS=" + s.world.STS.URL,
		"AWS_DEFAULT_REGION=eu-west-1",
		"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN,
	}
}

// own are the pipe and the floors below it.
func (s *step) own(ctx context.Context) []subject {
	var curlVersion, noCurl string
	if _, err := exec.LookPath("curl"); err != nil {
		noCurl = "not installed"
	} else {
		curlVersion = s.firstLine(ctx, "curl", "--version")
	}
	run := func(args ...string) func(string) ([]string, []string, error) {
		return func(string) ([]string, []string, error) { return args, nil, nil }
	}
	login := func(variables ...string) func(string) ([]string, []string, error) {
		return func(string) ([]string, []string, error) { return []string{s.pipe, "login"}, variables, nil }
	}
	toAWS := s.toAWS()
	toGCP := []string{
		"GCP_STS_ENDPOINT=" + s.world.GoogleSTS.URL,
		"GCP_IAMCREDENTIALS_ENDPOINT=" + s.world.IAMCredentials.URL,
		"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName,
		"GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail,
	}
	distant := func(roles int) []string {
		var list []string
		for i := range roles {
			list = append(list, fmt.Sprintf("p%d=%s", i, numberedRole(i)))
		}
		return []string{
			"AWS_ENDPOINT_URL_STS=" + s.distant.URL,
			"AWS_DEFAULT_REGION=eu-west-1",
			"AWS_OIDC_ROLES=" + strings.Join(list, ","),
		}
	}

	return []subject{
		{id: hello, group: groupStart, label: "hello world in Go", prepare: run(s.hello)},
		{id: libraries, group: groupStart, label: "the same, linked with the clouds' libraries", baseline: hello,
			prepare: run(s.libraries)},
		{id: pipeVersion, group: groupStart, label: "pipe --version", baseline: libraries, prepare: run(s.pipe, "--version")},
		{id: pipeBefore, group: groupStart, label: "the one program of commit " + oneProgram, baseline: pipeVersion,
			prepare: run(s.before, "--version"), missing: s.noBefore},

		{id: awsCurl, group: groupAWS, label: "curl", requests: 1, prepare: s.curlAWS,
			version: curlVersion, missing: noCurl},
		{id: awsLogin, group: groupAWS, label: "pipe login", baseline: awsCurl, requests: 1, prepare: login(toAWS...)},

		{id: gcpCurl, group: groupGCP, label: "sh and curl, twice", requests: 2, prepare: s.curlGCP,
			version: curlVersion, missing: noCurl},
		{id: gcpLogin, group: groupGCP, label: "pipe login", baseline: gcpCurl, requests: 2, prepare: login(toGCP...)},

		{id: bothLogin, group: groupSeveral, label: "pipe login, AWS and Google", baseline: slowerLogin, requests: 3,
			prepare: login(slices.Concat(toAWS, toGCP)...)},
		{id: oneDistant, group: groupSeveral, label: fmt.Sprintf("pipe login, 1 role %d ms away", latency.Milliseconds()),
			requests: 1, prepare: login(distant(1)...)},
		{id: manyDistant, group: groupSeveral,
			label:    fmt.Sprintf("pipe login, %d roles %d ms away", manyRoles, latency.Milliseconds()),
			baseline: oneDistant, requests: manyRoles, prepare: login(distant(manyRoles)...)},
	}
}

func numberedRole(i int) string {
	return fmt.Sprintf("arn:aws:iam::%s:role/deploy-%d", cloud.AWSAccount, i)
}

// quietCurl begins a configuration: an answer of 400 and more is a failure, as it is for the pipe.
const quietCurl = "silent\nshow-error\nfail\n"

// curlAWS is the one request of a login. The token and the answer stay in files that only their owner can read.
func (s *step) curlAWS(fresh string) ([]string, []string, error) {
	config := filepath.Join(fresh, "curl.conf")
	err := os.WriteFile(config, []byte(quietCurl+curlOptions(
		"url", s.world.STS.URL+"/",
		"data", "Action=AssumeRoleWithWebIdentity",
		"data", "Version=2011-06-15",
		"data", "DurationSeconds=3600",
		"data-urlencode", "RoleArn="+cloud.RoleARN,
		"data-urlencode", "RoleSessionName=bitbucket-shop-42",
		"data-urlencode", "WebIdentityToken="+s.token,
		"output", filepath.Join(fresh, "answer"),
	)), 0o600)
	return []string{"curl", "--config", config}, nil, err
}

// twoCurls needs a shell, because the second request carries the first one's answer. The shell's own words take it out
// and print it, so that no other process starts and no command line has it.
const twoCurls = `set -eu
answer=$(curl --config "$1")
token=${answer#*'"access_token":"'}
token=${token%%'"'*}
printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --config "$2" --config -
`

func (s *step) curlGCP(fresh string) ([]string, []string, error) {
	const scope = "https://www.googleapis.com/auth/cloud-platform"
	exchange, impersonate := filepath.Join(fresh, "exchange.conf"), filepath.Join(fresh, "impersonate.conf")
	err1 := os.WriteFile(exchange, []byte(quietCurl+curlOptions(
		"url", s.world.GoogleSTS.URL+"/v1/token",
		"data-urlencode", "grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
		"data-urlencode", "requested_token_type=urn:ietf:params:oauth:token-type:access_token",
		"data-urlencode", "subject_token_type=urn:ietf:params:oauth:token-type:jwt",
		"data-urlencode", "audience=//iam.googleapis.com/"+cloud.ProviderName,
		"data-urlencode", "scope="+scope,
		"data-urlencode", "subject_token="+s.token,
	)), 0o600)
	err2 := os.WriteFile(impersonate, []byte(quietCurl+curlOptions(
		"url", s.world.IAMCredentials.URL+"/v1/projects/-/serviceAccounts/"+cloud.ServiceAccountEmail+":generateAccessToken",
		"header", "Content-Type: application/json",
		"data", `{"scope":["`+scope+`"],"lifetime":"3600s"}`,
		"output", filepath.Join(fresh, "answer"),
	)), 0o600)
	return []string{"sh", "-c", twoCurls, "sh", exchange, impersonate}, nil, errors.Join(err1, err2)
}

// curlOptions writes pairs of name and value as curl's configuration files have them.
func curlOptions(pairs ...string) string {
	var b strings.Builder
	for pair := range slices.Chunk(pairs, 2) {
		fmt.Fprintf(&b, "%s = \"%s\"\n", pair[0], strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(pair[1]))
	}
	return b.String()
}

// credentialFile is what a login with Google leaves for other clients.
func (s *step) credentialFile(ctx context.Context) (string, error) {
	build := filepath.Join(s.dir, "google")
	if err := os.Mkdir(build, 0o700); err != nil {
		return "", err
	}
	for _, subject := range s.own(ctx) {
		if subject.id == gcpLogin {
			if _, err := s.start(ctx, subject, build); err != nil {
				return "", err
			}
		}
	}
	return filepath.Join(build, ".bitbucket-oidc", "gcp", "credentials.json"), nil
}
