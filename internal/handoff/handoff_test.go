package handoff_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/oidc/oidctest"
	"bitbucket-oidc/internal/secret"
)

func token(t testing.TB) oidc.Token {
	t.Helper()
	return oidctest.Token(t, `{"iss":"https://i","aud":"a","sub":"{r}:{s}","exp":4102444800}`)
}

// own are variables of backends.
var own = map[string][3]string{
	"aws":        {"AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE", "AWS_SESSION_TOKEN"},
	"gcp":        {"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CREDENTIALS"},
	"okta":       {"OPA_TOKEN", "OPA_ADDR", "SFT_TEAM"},
	"vault":      {"VAULT_TOKEN", "VAULT_ADDR", "VAULT_NAMESPACE"},
	"jfrog":      {"JF_ACCESS_TOKEN", "JF_URL", "JF_USER"},
	"databricks": {"DATABRICKS_TOKEN", "DATABRICKS_HOST", "DATABRICKS_CLIENT_ID"},
	"oauth":      {"A_TOKEN", "B_TOKEN", "C_KEY"},
}

func grant(backend, data string) federation.Grant {
	return federation.Grant{
		Backend: backend,
		Credentials: []federation.Credential{{
			Name: "default", Principal: "someone", Expires: time.Unix(4102444800, 0), Files: []string{backend + "/credentials"},
		}},
		Files: []federation.File{{Path: backend + "/credentials", Data: secret.New(data)}},
		Env: []federation.Var{
			{Name: own[backend][0], File: backend + "/credentials"},
			{Name: own[backend][1], Value: "it's $HOME"},
			{Name: own[backend][2], Unset: true},
		},
	}
}

// build is a build directory as Bitbucket makes it: anyone may write.
func build(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t testing.TB, clone, output string) *handoff.Dir {
	t.Helper()
	dir, err := handoff.Open(handoff.Config{CloneDir: clone, OutputDir: output})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, dir *handoff.Dir, grants ...federation.Grant) {
	t.Helper()
	if err := dir.Write(t.Context(), token(t), grants); err != nil {
		t.Fatal(err)
	}
}

// listing is every path below dir, and the contents of what is not a directory.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(dir, path)
		switch {
		case d.IsDir():
			all[relative] = "directory"
		case d.Type()&fs.ModeSymlink != 0:
			all[relative], err = os.Readlink(path)
		default:
			var data []byte
			data, err = os.ReadFile(path)
			all[relative] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(a, b map[string]string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			clone := build(t)
			old := syscall.Umask(umask)
			write(t, open(t, clone, "made/on/the-way"), grant("aws", "x"))
			syscall.Umask(old)
			err := filepath.WalkDir(clone, func(path string, d fs.DirEntry, err error) error {
				if err != nil || path == clone || d.Type()&fs.ModeSymlink != 0 {
					return err
				}
				info, err := d.Info()
				if err != nil {
					return err
				}
				want := fs.FileMode(0o600)
				if d.IsDir() {
					want = 0o700
				}
				if info.Mode().Perm() != want {
					t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestSecondLoginKeepsOtherBackends(t *testing.T) {
	clone := build(t)
	dir := open(t, clone, "out")
	write(t, dir, grant("aws", "first"))
	write(t, dir, grant("gcp", "google"))
	write(t, dir, grant("aws", "second"))

	if got := read(t, dir.Path("aws/credentials")); got != "second" {
		t.Errorf("aws/credentials = %q, want the second login's", got)
	}
	if got := read(t, dir.Path("gcp/credentials")); got != "google" {
		t.Errorf("gcp/credentials = %q, want the first login's", got)
	}
	env := read(t, dir.Path("env.sh"))
	for _, want := range []string{
		"AWS_SHARED_CREDENTIALS_FILE=" + clone + "/out/aws/credentials", "GOOGLE_APPLICATION_CREDENTIALS=", "unset -v GOOGLE_CREDENTIALS",
	} {
		if strings.Count(env, want) != 1 {
			t.Errorf("env.sh has %q %d times, want once:\n%s", want, strings.Count(env, want), env)
		}
	}
	var summary struct{ Credentials []struct{ Backend string } }
	if err := json.Unmarshal([]byte(read(t, dir.Path("summary.json"))), &summary); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(summary.Credentials); got != "[{aws} {gcp}]" {
		t.Errorf("summary.json lists %s, want aws and gcp", got)
	}
	entries, _ := os.ReadDir(dir.Path(""))
	var names []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".gen-") {
			names = append(names, name)
		}
	}
	if want := []string{".current", ".gitignore", "aws", "env.sh", "gcp", "summary.json"}; !slices.Equal(names, want) || len(entries) != len(want)+1 {
		t.Errorf("the output directory has %v (%d entries), want %v and one generation", names, len(entries), want)
	}
}

// TestWriteIsWholeOrAbsent makes every write fail that can be made to fail from outside, and looks for traces.
func TestWriteIsWholeOrAbsent(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, clone string)
	}{
		{"a file in the place of env.sh", func(t *testing.T, clone string) { put(t, clone, "out/env.sh", "export EVIL=1") }},
		{"a folder in the place of aws", func(t *testing.T, clone string) { put(t, clone, "out/aws/credentials", "evil") }},
		{"a link elsewhere in the place of aws", func(t *testing.T, clone string) { link(t, clone, "/etc", "out/aws") }},
		{"a link elsewhere in the place of .current", func(t *testing.T, clone string) { link(t, clone, "/etc", "out/.current") }},
		{"a link to a planted folder in the place of .current", func(t *testing.T, clone string) {
			put(t, clone, "out/.gen-0123456789abcdef/state.json", `{"version":1,"backends":[{"name":"aws","env":[{"name":"LD_PRELOAD","value":"x"}]}]}`)
			link(t, clone, ".gen-0123456789abcdef", "out/.current")
		}},
		{"a .gitignore that is a link", func(t *testing.T, clone string) { link(t, clone, "/dev/null", "out/.gitignore") }},
		{"a .gitignore that ignores nothing", func(t *testing.T, clone string) { put(t, clone, "out/.gitignore", "!*\n") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			clone := build(t)
			c.prepare(t, clone)
			before := listing(t, clone)
			err := open(t, clone, "out").Write(t.Context(), token(t), []federation.Grant{grant("aws", "x")})
			if err == nil {
				t.Fatal("it was written all the same")
			}
			if len(hint.All(err)) == 0 {
				t.Errorf("no hint: %v", err)
			}
			if after := listing(t, clone); !same(before, after) {
				t.Errorf("the directory changed:\n%v\n%v", before, after)
			}
		})
	}
}

// TestEnvFile sources env.sh in every shell at hand, from another directory, under set -eu.
func TestEnvFile(t *testing.T) {
	clone := filepath.Join(build(t), "it's a $(build) `dir` \"x\"")
	if err := os.Mkdir(clone, 0o777); err != nil {
		t.Fatal(err)
	}
	dir := open(t, clone, "out")
	write(t, dir, grant("aws", "x"))
	ran := 0
	for _, shell := range [][]string{{"sh"}, {"dash"}, {"bash"}, {"bash", "--posix"}, {"zsh"}, {"busybox", "ash"}, {"ksh"}, {"mksh"}} {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				t.Skipf("%s: not installed", shell[0])
			}
			cmd := exec.Command(
				shell[0],
				append(
					shell[1:], "-c",
					`set -eu; cd /; . "$1"; . "$1"; printf '%s|%s|%s' "$AWS_SHARED_CREDENTIALS_FILE" "$AWS_PROFILE" "${AWS_SESSION_TOKEN-gone}"`,
					"sh", dir.Path("env.sh"),
				)...,
			)
			cmd.Env = append(os.Environ(), "AWS_SESSION_TOKEN=there", "AWS_PROFILE=other")
			got, err := cmd.CombinedOutput()
			if want := dir.Path("aws/credentials") + "|it's $HOME|gone"; err != nil || string(got) != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			ran++
		})
	}
	if ran == 0 {
		t.Error("no shell ran")
	}
}
