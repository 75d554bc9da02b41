package handoff_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/hint"
)

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
