package peers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

// Dex is an OAuth server after RFC 8693. Its module cannot be installed by itself, as it replaces a part of itself; as the
// requirement of another module it builds.
const (
	dexVersion = "v0.0.0-20260303133905-11d2eeb52b42" // v2.45.1
	dexAPI     = "v2.4.0"
)

// TestDex trades the step's token at a real server, which knows the issuer as an OpenID Connect connector.
func TestDex(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok { // a build that takes too long must not take the other tests with it
		early, cancel := context.WithDeadline(ctx, deadline.Add(-readerLimit))
		defer cancel()
		ctx = early
	}
	program, err := cached("dex-"+dexVersion+"-"+dexAPI, func(dir string) error { return buildDex(ctx, dir) }) // minutes, but once
	if err != nil {
		verdicts.skip(t, "dex", "not built: "+err.Error())
	}
	verdicts.ran("dex")
	local := serveIssuer(t)
	step := cloud.DefaultStep()
	token := local.Token(step)
	secret := rand.Text() + "+/ %" // what needs encoding
	url := startDex(t, filepath.Join(program, "dex"), local.URL(), secret)

	good := []string{
		"OAUTH_TOKEN_URL=" + url + "/token",
		"OAUTH_CLIENT_ID=pipelines",
		"OAUTH_CLIENT_SECRET=" + secret,
		"OAUTH_SUBJECT_TOKEN_TYPE=id_token",
		"OAUTH_PARAMETERS=connector_id=bitbucket",
		"OAUTH_SCOPES=openid,profile",
		"OAUTH_TOKEN_VARIABLE=DEX_TOKEN",
	}
	for _, wanted := range []string{"", "access_token", "id_token"} {
		t.Run("login/"+wanted, func(t *testing.T) {
			t.Parallel()
			env := signIn(t, local, token, append(slices.Clone(good), "OAUTH_REQUESTED_TOKEN_TYPE="+wanted)...)
			if who := dexUser(t, url, sourced(t, env, "DEX_TOKEN")); who != cloud.RepositoryUUID {
				t.Errorf("Dex takes the token for %q's", who)
			}
		})
	}

	// with is the login with one variable changed.
	with := func(name, value string) []string { return append(slices.Clone(good), name+"="+value) }
	for name, c := range map[string]struct {
		variables []string
		says      []string
	}{
		"client":       {with("OAUTH_CLIENT_SECRET", "wrong"), []string{"invalid_client", "OAUTH_CLIENT_SECRET"}},
		"connector":    {with("OAUTH_PARAMETERS", "connector_id=other"), []string{"invalid_request", "OAUTH_PARAMETERS"}},
		"no connector": {with("OAUTH_PARAMETERS", ""), []string{"invalid_request", "OAUTH_PARAMETERS"}},
		"token type":   {with("OAUTH_SUBJECT_TOKEN_TYPE", "jwt"), []string{"OAUTH_SUBJECT_TOKEN_TYPE", "id_token"}},
		"access token": {with("OAUTH_SUBJECT_TOKEN_TYPE", "access_token"), []string{"access_denied", "OAUTH_SUBJECT_TOKEN_TYPE must be id_token"}},
		"grant":        {with("OAUTH_GRANT", "jwt-bearer"), []string{"unsupported_grant_type", "OAUTH_GRANT"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out := isRefused(t, local, token, c.says, c.variables...); strings.Contains(out, secret) {
				t.Error("the client's secret is printed")
			}
		})
	}
	spoilt := token[:strings.LastIndex(token, ".")+1] + strings.Repeat("A", 342)
	t.Run("signature", func(t *testing.T) {
		t.Parallel()
		isRefused(t, local, spoilt, []string{"access_denied", "must fit the token's claims"}, good...)
	})
}

// buildDex builds Dex as the requirement of a module of nothing else.
func buildDex(ctx context.Context, dir string) error {
	source, err := os.MkdirTemp("", "dex")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	for name, text := range map[string]string{
		"go.mod":  fmt.Sprintf("module host\n\ngo 1.25\n\nrequire (\n\tgithub.com/dexidp/dex %s\n\tgithub.com/dexidp/dex/api/v2 %s\n)\n", dexVersion, dexAPI),
		"host.go": "//go:build tools\n\npackage host\n\nimport _ \"github.com/dexidp/dex/cmd/dex\"\n",
	} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-o", filepath.Join(dir, "dex"), "github.com/dexidp/dex/cmd/dex"}} {
		step := exec.CommandContext(ctx, "go", args...)
		step.Dir = source
		step.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
		if err := quietly(step); err != nil {
			return err
		}
	}
	return nil
}

// startDex starts a server with one client, whose connector takes the issuer's tokens, and returns its URL.
func startDex(t *testing.T, program, issuerURL, secret string) string {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	url := "http://" + address + "/dex"
	config, err := json.Marshal(map[string]any{ // YAML as well
		"issuer":  url,
		"storage": map[string]any{"type": "memory"},
		"web":     map[string]any{"http": address},
		"logger":  map[string]any{"level": "error"},
		"oauth2":  map[string]any{"grantTypes": []string{"urn:ietf:params:oauth:grant-type:token-exchange"}},
		"connectors": []any{map[string]any{"type": "oidc", "id": "bitbucket", "name": "Bitbucket", "config": map[string]any{
			"issuer": issuerURL, "clientID": "unused", "clientSecret": "unused", "redirectURI": url + "/callback", "scopes": []string{"openid"},
			"userIDKey": "repositoryUuid", "userNameKey": "repositoryUuid", // the token has no name
		}}},
		"staticClients": []any{map[string]any{"id": "pipelines", "name": "Pipelines", "secret": secret}},
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "dex.yaml"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	const untilStdinEnds = `"$@" & cat; kill -9 $!` // however the test ends
	server := exec.Command("sh", "-c", untilStdinEnds, "sh", program, "serve", filepath.Join(dir, "dex.yaml"))
	server.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	stdin, err := server.StdinPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait() // by a signal, of course
	})
	for limit := time.After(time.Minute); ; {
		response, err := http.Get(url + "/.well-known/openid-configuration")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return url
			}
			err = errors.New(response.Status)
		}
		select {
		case <-limit:
			t.Fatalf("dex: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// dexUser is the user name that Dex knows the bearer by, or empty.
func dexUser(t *testing.T, url, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var user struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(body, &user) != nil || response.StatusCode != http.StatusOK {
		t.Logf("userinfo: %s %.200s", response.Status, body)
	}
	return user.Name
}
