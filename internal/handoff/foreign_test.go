package handoff_test

import (
	"os"
	"path/filepath"
	"testing"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint/hinttest"
)

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
