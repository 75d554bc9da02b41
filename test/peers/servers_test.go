package peers

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bitbucket-oidc/test/cloud"
)

// serveIssuer is the shared issuer at an address where servers can fetch its keys.
func serveIssuer(t *testing.T) *cloud.Issuer {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	local := issuer.At("http://" + server.Listener.Addr().String() + "/oidc")
	server.Config.Handler = local
	server.Start()
	t.Cleanup(server.Close)
	return local
}

// signIn is a login of a step with this token, and returns the path of env.sh.
func signIn(t *testing.T, local *cloud.Issuer, token string, variables ...string) string {
	t.Helper()
	return place{token: token, secrets: local.Secrets}.login(t, login{variables: variables})
}

// isRefused is a login that a server must refuse: with exit status 1, these words, and no file.
func isRefused(t *testing.T, local *cloud.Issuer, token string, says []string, variables ...string) (out string) {
	t.Helper()
	out, env, err := place{token: token}.tryLogin(t, login{variables: variables})
	out = mask(out, local.Secrets())
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("login: %v, want exit status 1\n%s", err, out)
	}
	for _, want := range says {
		if !strings.Contains(out, want) {
			t.Errorf("login does not say %q:\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Dir(env)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the output directory after a refused login: %v", err)
	}
	return out
}

// sourced is the value that a variable has after env.sh.
func sourced(t *testing.T, env, variable string) string {
	t.Helper()
	out, err := run(t, "", []string{"PATH=" + os.Getenv("PATH")}, "sh", "-c", `set -eu; . "$1"; printenv "$2"`, "sh", env, variable)
	if err != nil {
		t.Fatalf("reading %s: %v", variable, err)
	}
	return strings.TrimSuffix(out, "\n")
}

// logOut runs the pipe's logout after a login that wrote env.
func logOut(t *testing.T, env string, variables ...string) (string, error) {
	t.Helper()
	build := filepath.Dir(filepath.Dir(env))
	variables = append([]string{"PATH=" + os.Getenv("PATH"), "BITBUCKET_CLONE_DIR=" + build}, variables...)
	return run(t, build, variables, pipe, "logout")
}

// vaultWrite is a command that a hint gives to paste.
var vaultWrite = regexp.MustCompile(`vault write (\S+)((?: [a-z_]+=\S+)+)`)

// pasted is the last such command in the program's output: where it writes, and what.
func pasted(t *testing.T, out string) (path string, data map[string]any) {
	t.Helper()
	all := vaultWrite.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		t.Fatalf("no command to paste in:\n%s", out)
	}
	last := all[len(all)-1]
	data = map[string]any{}
	for _, pair := range strings.Fields(last[2]) {
		name, value, _ := strings.Cut(pair, "=")
		data[name] = strings.TrimSuffix(value, ",…")
	}
	return last[1], data
}
