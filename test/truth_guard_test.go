package test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bitbucket-oidc/test/cloud"
)

// TestGuardChanges: a step's file of guardrails changes while AWS is asked. A login that it lets through before and after is refused all
// the same, with a record of what was handed out and one of the refusal, and nothing else on the disk.
func TestGuardChanges(t *testing.T) {
	const (
		early = "version: 1\nrules:\n  - {name: any-branch, require: claims.branchName != '', message: A branch.}\n"
		late  = early + "  - {name: short, require: credential.expires - now <= duration('2h'), message: Short.}\n"
	)
	remade := func(path string, make func(path string) error) error { return errors.Join(os.Remove(path), make(path)) }
	write := func(text string) func(path string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	pipe := builtPipe(t)
	for _, c := range []struct {
		name, rules string
		change      func(path string) error
		status      int
	}{
		{"the same text again", late, write(late), 0},
		{"nothing waits for the credential, so that nothing is read again", early, write(late), 0},
		{"a rule less", late, write(early), 1},
		{"a comment more", late, write(late + "# a comment\n"), 1},
		{"it refuses nothing any more", late, write("mode: audit\n" + late), 1},
		{"a mistake", late, write("rules: nothing"), 1},
		{"empty", late, write(""), 1},
		{"gone", late, os.Remove, 1},
		{"a folder", late, func(path string) error { return remade(path, func(p string) error { return os.Mkdir(p, 0o700) }) }, 1},
		{"a FIFO", late, func(path string) error { return remade(path, func(p string) error { return syscall.Mkfifo(p, 0o600) }) }, 1},
		{"a link to the same text", late, func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink("guard.yaml.real", path))
		}, 1},
		{"too long", late, write(late + strings.Repeat("# a comment\n", 30_000)), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := newTruth(t, pipe, map[string]bool{})
			path := filepath.Join(tr.clone, "guard.yaml")
			tr.write("guard.yaml", c.rules)
			server, err := cloud.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tr.world.AWS.ServeHTTP(w, r)
				if err := c.change(path); err != nil {
					t.Error(err)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			got := tr.records("login", c.status, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, region, "GUARD_FILE=guard.yaml", "AWS_ENDPOINT_URL_STS="+server.URL)
			_, err = os.Stat(filepath.Join(tr.clone, ".bitbucket-oidc"))
			if written := err == nil; written != (c.status == 0) {
				t.Errorf("credentials were written: %t", written)
			}
			if c.status == 0 {
				return
			}
			if strings.Count(tr.out, "✖ ") != 1 || !strings.Contains(tr.out, "✖ guard: the guardrails changed while the login ran") {
				t.Errorf("it says:\n%s", tr.out)
			}
			if len(got) != 2 || got[0]["metadata/event_code"] != "aws.login.granted" || got[0]["unmapped/login.refused"] != "true" ||
				got[1]["metadata/event_code"] != "guardrail.denied" || !strings.Contains(got[1]["status_detail"], "the guardrails changed while the login ran") {
				t.Errorf("records: %v", got)
			}
		})
	}
}
