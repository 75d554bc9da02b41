package peers

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"bitbucket-oidc/test/cloud"
)

// TestRefresh: a program that runs longer than a session signs in again by itself, with the step's token or through the
// chain.
func TestRefresh(t *testing.T) {
	t.Parallel()
	url := func(p place) []string { return []string{p.url} }
	again := func(p place) []string { return []string{p.url, "4"} }
	deploy := []string{"AWS_DEFAULT_REGION=eu-west-1", "AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_REFRESHABLE=true"}

	testReaders(t, []reader{
		{name: "aws-sdk-go", find: goProgram("sts-twice"), args: url},
		{name: "aws-sdk-js", find: node("sts.js"), args: again},
		{name: "boto3", find: boto3(onPath("python3")), args: again, cannot: tooOld()},
	}, []login{
		{name: "refreshable", variables: deploy, caller: deployIdentity},
		{name: "refreshable-chain", variables: append(deploy, "AWS_CHAIN_ROLE_ARNS="+auditRole), caller: auditIdentity},
	}, func(t *testing.T, r reader, l login) {
		w := newWorld(t)
		env := w.login(t, l)
		w.AWS.Configure(func(c *cloud.AWSConfig) { c.Lifetime = 3 * time.Second })
		before := w.exchanges()
		w.read(t, r, l, env)
		if n := w.exchanges() - before; n < 2 {
			t.Errorf("%d exchanges after login, want a second one when the first session has ended", n)
		}
		if callers := w.seen(); len(callers) != 2 || callers[0] != l.caller || callers[1] != l.caller {
			t.Errorf("called as %q, want twice %q", callers, l.caller)
		}
	})
}

// TestDocker: the docker command, and the library of its newer versions, with env.sh only, sign in to a registry.
func TestDocker(t *testing.T) {
	t.Parallel()
	for _, r := range []reader{
		{name: "docker", find: dockerClient, args: func(p place) []string {
			return []string{"manifest", "inspect", "--insecure", strings.TrimPrefix(p.url, "https://") + "/shop:1"}
		}},
		{name: "docker-go", find: goProgram("docker"), args: func(p place) []string { return []string{p.url} }},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			program, err := r.find()
			if err != nil {
				verdicts.skip(t, r.name, err.Error())
			}
			verdicts.ran(r.name)
			w := newWorld(t)
			var signedIn atomic.Bool
			registry := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				user, password, ok := r.BasicAuth()
				if !ok || user != "oauth2accesstoken" || w.GCP.Caller(password) != "serviceAccount:"+cloud.ServiceAccountEmail {
					rw.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
					http.Error(rw, "{}", http.StatusUnauthorized)
					return
				}
				signedIn.Store(true)
				http.Error(rw, `{"errors": [{"code": "MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
			}))
			t.Cleanup(registry.Close)
			host := strings.TrimPrefix(registry.URL, "https://")
			env := w.login(t, login{variables: []string{
				"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName, "GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail, "GCP_DOCKER_REGISTRIES=" + host,
			}})
			leftover := base64.StdEncoding.EncodeToString([]byte("left:over"))
			step := append(w.environment(t.TempDir()), `DOCKER_AUTH_CONFIG={"auths":{"`+host+`":{"auth":"`+leftover+`"}}}`)
			source := []string{"sh", "-c", `set -eu; . "$1"; shift; exec "$@"`, "sh", env}
			out, err := run(t, "", step, slices.Concat(source, program, r.args(place{url: registry.URL}))...)
			if !signedIn.Load() {
				t.Errorf("%s did not sign in: %v\n%s", r.name, err, mask(out, w.secrets()))
			}
		})
	}
}

// dockerClient finds a docker command that asks registries by itself: older ones do so only as an experiment, and others have its name.
func dockerClient() ([]string, error) {
	program, err := onPath("docker")()
	if err == nil && exec.Command(program[0], "manifest", "inspect", "--help").Run() != nil {
		err = errors.New("this docker has no manifest inspect")
	}
	return program, err
}

// TestIDToken: a library that others wrote verifies gcp/id-token with Google's keys, for its audience and no other.
func TestIDToken(t *testing.T) {
	t.Parallel()
	verdicts.ran("go-oidc")
	const audience = "https://shop.example.com"
	w := newWorld(t)
	env := w.login(t, login{variables: []string{
		"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName, "GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail, "GCP_ID_TOKEN_AUDIENCE=" + audience,
	}})
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(env), "gcp", "id-token"))
	if err != nil {
		t.Fatal(err)
	}
	keys := oidc.NewRemoteKeySet(context.Background(), w.GoogleSTS.URL+"/oauth2/v3/certs")
	verify := func(audience string) (*oidc.IDToken, error) {
		return oidc.NewVerifier("https://accounts.google.com", keys, &oidc.Config{ClientID: audience}).Verify(t.Context(), string(raw))
	}
	token, err := verify(audience)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Email string `json:"email"`
	}
	if err := token.Claims(&claims); err != nil || claims.Email != cloud.ServiceAccountEmail {
		t.Errorf("the token is of %q (%v), want %s", claims.Email, err, cloud.ServiceAccountEmail)
	}
	if _, err := verify("https://other.example.com"); err == nil {
		t.Error("the token was taken for another audience")
	}
}
