package peers

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

// MinIO speaks AWS's protocol for AssumeRoleWithWebIdentity and checks tokens for itself: the discovery document, the
// keys, the signature and the audience. It is under the AGPL: it is run here, never linked.
const minioVersion = "v0.0.0-20260212201848-7aac2a2c5b7c"

// TestMinIO gets real S3 to store things, with credentials from a real STS.
func TestMinIO(t *testing.T) {
	t.Parallel()
	p, local, role := newMinIO(t)
	step, url := cloud.DefaultStep(), p.url
	variables := []string{"AWS_OIDC_ROLE_ARN=" + role}

	t.Run("wrong-audience", func(t *testing.T) {
		t.Parallel()
		claims := step.Claims(local.URL())
		claims["aud"] = "ari:cloud:bitbucket::workspace/another"
		stranger := place{url: url, token: local.Sign(claims), secrets: local.Secrets}
		out, env, err := stranger.tryLogin(t, login{variables: variables})
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("login: %v, want exit status 1\n%s", err, mask(out, local.Secrets()))
		}
		if _, err := os.Stat(env); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("env.sh after a refused login: %v", err)
		}
	})

	put := func(p place) []string {
		return []string{"s3api", "put-object", "--bucket", "peers", "--key", "from-aws", "--endpoint-url", p.url}
	}
	testReaders(t, []reader{
		{name: "minio-aws", find: onPath("aws"), args: put, cannot: tooOld()},
		{name: "minio-aws-sdk-go", find: goProgram("s3"), args: func(p place) []string { return []string{p.url} }},
		{name: "minio-terraform-s3", find: terraformApply, args: func(place) []string { return nil }},
	}, []login{
		{name: "role", variables: variables},
		{name: "refreshable", variables: append(variables, "AWS_REFRESHABLE=true")},
	}, func(t *testing.T, r reader, l login) {
		p.read(t, r, l, p.login(t, l))
	})
}

// newMinIO is a place that MinIO serves, for steps of an issuer that it trusts, and the role that they get.
func newMinIO(t *testing.T) (p place, local *cloud.Issuer, role string) {
	t.Helper()
	program, err := installedMinIO(t)
	if err != nil {
		verdicts.skip(t, "minio", "not installed: "+err.Error())
	}
	// MinIO fetches the keys from where the issuer's URL says.
	provider := httptest.NewUnstartedServer(nil)
	local = issuer.At("http://" + provider.Listener.Addr().String() + "/oidc")
	provider.Config.Handler = local
	provider.Start()
	t.Cleanup(provider.Close)
	step := cloud.DefaultStep()
	url, role := startMinIO(t, program, local.URL(), step.WorkspaceAudience())
	return place{url: url, token: local.Token(step), secrets: local.Secrets}, local, role
}

// installing keeps tests from building MinIO side by side.
var installing sync.Mutex

func installedMinIO(t *testing.T) (string, error) {
	installing.Lock()
	defer installing.Unlock()
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok { // a build that takes too long must not take the other tests with it
		early, cancel := context.WithDeadline(ctx, deadline.Add(-readerLimit))
		defer cancel()
		ctx = early
	}
	dir, err := cached("minio-"+minioVersion, func(dir string) error {
		install := exec.CommandContext(ctx, "go", "install", "github.com/minio/minio@"+minioVersion) // minutes, but once
		install.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
		return quietly(install)
	})
	return filepath.Join(dir, "minio"), err
}

// terraformApply has Terraform write a state that holds one output.
func terraformApply() ([]string, error) {
	// MinIO's STS cannot say who somebody is. The process id keeps runs side by side apart.
	const commands = `"$0" "$@" init -no-color -input=false -backend-config="key=$$.tfstate" \
			-backend-config=skip_credentials_validation=true -backend-config=skip_requesting_account_id=true &&
		"$0" "$@" apply -no-color -input=false -auto-approve`
	program, err := terraform("s3")()
	return append([]string{"sh", "-c", commands}, program...), err
}

// startMinIO starts a server that trusts the issuer, and returns its URL and the role that tokens of the audience get.
func startMinIO(t *testing.T, program, issuerURL, audience string) (url, role string) {
	t.Helper()
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "peers"), 0o700); err != nil { // a folder of the data is a bucket
		t.Fatal(err)
	}
	address := freeAddress(t)
	const untilStdinEnds = `"$@" & cat; kill -9 $!` // however the test ends
	server := exec.Command("sh", "-c", untilStdinEnds, "sh", program, "server", "--address", address, data)
	server.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + data,
		"MINIO_ROOT_USER=" + rand.Text(),
		"MINIO_ROOT_PASSWORD=" + rand.Text(),
		"MINIO_BROWSER=off",
		"MINIO_UPDATE=off",
		"MINIO_IDENTITY_OPENID_CONFIG_URL=" + issuerURL + "/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=" + audience,
		"MINIO_IDENTITY_OPENID_CLIENT_SECRET=unused",
		"MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite",
	}
	stdin, err1 := server.StdinPipe()
	output, err2 := server.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	server.Stderr = server.Stdout
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	roles := make(chan string, 1)
	go func() { // ends with the server
		for lines := bufio.NewScanner(output); lines.Scan(); {
			if role := minioRole.FindString(lines.Text()); role != "" && len(roles) == 0 {
				roles <- role
			}
		}
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait() // by a signal, of course
	})

	limit := time.After(time.Minute)
	select {
	case role = <-roles:
	case <-limit:
		t.Fatal("minio: names no role")
	}
	url = "http://" + address
	client := http.Client{Timeout: 5 * time.Second}
	for {
		response, err := client.Get(url + "/minio/health/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return url, role
			}
			err = fmt.Errorf("health: %s", response.Status)
		}
		select {
		case <-limit:
			t.Fatalf("minio: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// minioRole is how MinIO names, in its log, the role that goes with a provider.
var minioRole = regexp.MustCompile(`arn:minio:iam:::role/[\w-]+`)

// freeAddress is one on the loopback interface that nobody used a moment ago: MinIO cannot choose for itself.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
