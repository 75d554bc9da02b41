package handoff_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
)

func token(t testing.TB) oidc.Token {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	tok, err := oidc.Parse(
		enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(`{"iss":"https://i","aud":"a","sub":"{r}:{s}","exp":4102444800}`)) +
			"." + enc([]byte("s")),
	)
	if err != nil {
		t.Fatal(err)
	}
	return tok
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

func TestWriteLeavesExistingFoldersAlone(t *testing.T) {
	clone := build(t)
	if err := os.Mkdir(filepath.Join(clone, "there"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, open(t, clone, "there/out"), grant("aws", "x"))
	info, err := os.Stat(filepath.Join(clone, "there"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the folder that was there has mode %v, %v", info.Mode(), err)
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

func TestForeignFilesAreLeftAlone(t *testing.T) {
	clone := build(t)
	dir := open(t, clone, "out")
	foreign := filepath.Join(clone, "out", "notes.txt")
	if err := os.MkdirAll(filepath.Join(clone, "out", ".gen-of-somebody"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, grant("aws", "x"))
	write(t, dir, grant("aws", "y"))
	if read(t, foreign) != "mine" {
		t.Error("a foreign file was changed")
	}
	if _, err := os.Stat(filepath.Join(clone, "out", ".gen-of-somebody")); err != nil {
		t.Error("a foreign folder was removed")
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

func put(t *testing.T, clone, name, data string) {
	t.Helper()
	path := filepath.Join(clone, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, clone, target, name string) {
	t.Helper()
	path := filepath.Join(clone, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// TestRewrittenState changes what a login keeps of itself, as any command of the step can: none of it reaches env.sh.
func TestRewrittenState(t *testing.T) {
	for name, b := range map[string]string{
		"a variable that is a command": `{"name":"gcp","credentials":[],"env":[{"name":"X;id","value":"x"}]}`,
		"a file outside":               `{"name":"gcp","credentials":[],"env":[{"name":"X","file":"gcp/../../../etc/passwd"}]}`,
		"contents of a file outside":   `{"name":"gcp","credentials":[],"env":[{"name":"X","contents":"../x"}]}`,
		"another backend's file":       `{"name":"gcp","credentials":[{"backend":"gcp","name":"x","files":["aws/credentials"]}],"env":[]}`,
		"another backend's entry":      `{"name":"gcp","credentials":[{"backend":"aws","name":"x","files":[]}],"env":[]}`,
		"a registry that is a path":    `{"name":"gcp","credentials":[],"env":[],"registries":["a/b"]}`,
		"a name that is a path":        `{"name":"../gcp","credentials":[],"env":[]}`,
		"another version":              `{}],"version":2,"x":[{}`,
	} {
		t.Run(name, func(t *testing.T) {
			clone := build(t)
			dir := open(t, clone, "out")
			write(t, dir, grant("aws", "x"))
			put(t, clone, "out/.current/state.json", `{"version":1,"subject":"`+token(t).Claims.Subject+`","backends":[`+b+`]}`)
			before := listing(t, clone)
			hinttest.Check(t, dir.Write(t.Context(), token(t), []federation.Grant{grant("okta", "x")}), "writing to out: ", "was not written by login")
			if after := listing(t, clone); !same(before, after) {
				t.Errorf("the directory changed:\n%v\n%v", before, after)
			}
			if r, err := dir.Remove(t.Context()); !r.Removed || r.Foreign != nil || err != nil {
				t.Errorf("removed: %v, foreign: %q, %v", r.Removed, r.Foreign, err)
			}
			if left := listing(t, clone); len(left) != 1 {
				t.Errorf("logout left %v", left)
			}
		})
	}
}

func TestWriteStopped(t *testing.T) {
	clone := build(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, clone, "deep/out").Write(ctx, token(t), []federation.Grant{grant("aws", "x")}); err == nil {
		t.Fatal("it was written though the command was stopped")
	}
	if got := listing(t, clone); len(got) != 1 {
		t.Errorf("traces are left: %v", got)
	}
}

// TestLocked holds the lock for another login. Who waits for it gives up when its time is over, or when it is stopped.
func TestLocked(t *testing.T) {
	clone := build(t)
	put(t, clone, "out/mine", "x")
	before := listing(t, clone)
	other, err := os.Open(filepath.Join(clone, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	late, cancelLate := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelLate()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for says, ctx := range map[string]context.Context{"another login is writing to this folder": late, "stopped": stopped} {
		dir := open(t, clone, "out")
		err := dir.Write(ctx, token(t), []federation.Grant{grant("aws", "x")})
		hinttest.Check(t, err, "writing to out: ", says)
		if raise := strings.Contains(strings.Join(hint.All(err), ""), "TIMEOUT"); raise != (ctx == late) {
			t.Errorf("%q: hints %q", says, hint.All(err))
		}
		// logout removes without the lock.
		start := time.Now()
		if r, err := dir.Remove(ctx); !r.Unlocked || err != nil || len(r.Foreign) != 1 || time.Since(start) > time.Second {
			t.Errorf("%q: %+v, %v", says, r, err)
		}
	}
	if after := listing(t, clone); !same(before, after) {
		t.Errorf("the directory changed:\n%v\n%v", before, after)
	}
}

// TestLeftoversOfAKilledLogin plants what a login leaves that is killed before its change, or right after it.
func TestLeftoversOfAKilledLogin(t *testing.T) {
	clone := build(t)
	dir := open(t, clone, "out")
	write(t, dir, grant("aws", "first"))
	put(t, clone, "out/.gen-00000000000000aa/aws/credentials", "half")
	link(t, clone, ".gen-00000000000000aa", "out/.new-00000000000000aa")
	write(t, dir, grant("gcp", "second"))
	for path := range listing(t, clone) {
		if strings.Contains(path, "00000000000000aa") {
			t.Errorf("%s is still there", path)
		}
	}
	if read(t, dir.Path("aws/credentials")) != "first" {
		t.Error("the backend of the first login is gone")
	}
}

func TestLoginsSideBySide(t *testing.T) {
	clone := build(t)
	dir := open(t, clone, "out")
	var all sync.WaitGroup
	for backend := range own {
		all.Go(func() {
			if err := dir.Write(t.Context(), token(t), []federation.Grant{grant(backend, "x")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	env := read(t, dir.Path("env.sh"))
	for backend, names := range own {
		if !strings.Contains(env, "export "+names[0]+"=") {
			t.Errorf("%s is lost", backend)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	clone := build(t)
	outside := build(t)
	link(t, clone, outside, "link")
	link(t, clone, "inside", "link-inside")
	put(t, clone, "file", "x")
	for _, output := range []string{
		"..", "../x", "a/../../x", ".", "", "a/..", outside, "/", clone, clone + "-neighbour", clone + "/../x",
		"link", "link/x", "link-inside", "link-inside/x", "file", "file/x", "a\nb", "a\x00b", "a\xffb",
	} {
		_, err := handoff.Open(handoff.Config{CloneDir: clone, OutputDir: output})
		if err == nil {
			t.Errorf("OUTPUT_DIR %q was taken", output)
		} else if !strings.HasPrefix(err.Error(), "OUTPUT_DIR: ") || len(hint.All(err)) == 0 {
			t.Errorf("OUTPUT_DIR %q: error without its variable or without a hint: %v", output, err)
		}
	}
	for _, dir := range []string{filepath.Join(clone, "missing"), filepath.Join(clone, "file"), "/", "a\nb"} {
		if _, err := handoff.Open(handoff.Config{CloneDir: dir, OutputDir: "out"}); err == nil {
			t.Errorf("BITBUCKET_CLONE_DIR %q was taken", dir)
		}
	}
	if got := listing(t, outside); len(got) != 1 {
		t.Errorf("something was written outside: %v", got)
	}
}

func TestOpenAccepts(t *testing.T) {
	clone := build(t)
	for output, want := range map[string]string{
		"out": clone + "/out", "a/../b": clone + "/b", "./x/": clone + "/x", clone + "/y/z": clone + "/y/z", "it's": clone + "/it's",
	} {
		if got := open(t, clone, output).Path(""); got != want {
			t.Errorf("OUTPUT_DIR %q leads to %s, want %s", output, got, want)
		}
	}
	t.Chdir(clone)
	if got, want := open(t, "", "out").Path("env.sh"), clone+"/out/env.sh"; got != want {
		t.Errorf("without a build directory env.sh is %s, want %s", got, want)
	}
	// The shell runner's build directory holds "..", which must not be folded: what is before it may be a link.
	if err := os.Mkdir(filepath.Join(clone, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, want := open(t, clone+"/bin/..", "out").Path(""), clone+"/bin/../out"; got != want {
		t.Errorf("a build directory with .. leads to %s, want %s", got, want)
	}
}

func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files to another user: only root may")
	}
	owner := func(path string) [2]int {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		return [2]int{int(stat.Uid), int(stat.Gid)}
	}
	for _, c := range []struct {
		name  string
		asked *handoff.Owner
		want  [2]int
	}{
		{"the build directory's", nil, [2]int{1234, 2345}},
		{"a user and a group", &handoff.Owner{UID: 7, GID: 8}, [2]int{7, 8}},
		{"a user alone", &handoff.Owner{UID: 7, GID: -1}, [2]int{7, os.Getegid()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clone := build(t)
			if err := os.Chown(clone, 1234, 2345); err != nil {
				t.Fatal(err)
			}
			dir, err := handoff.Open(handoff.Config{CloneDir: clone, OutputDir: "a/out", Owner: c.asked})
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, grant("aws", "x"))
			for path := range listing(t, filepath.Join(clone, "a")) {
				if got := owner(filepath.Join(clone, "a", path)); got != c.want {
					t.Errorf("%s belongs to %v, want %v", path, got, c.want)
				}
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
