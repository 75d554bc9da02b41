package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

// A neighbour is what stands in the place of the program that judges guardrails: a shell script, or none. Its environment is empty, so
// that it has the shell's own search path.
type neighbour struct {
	name   string
	script string // empty: no program
	mode   os.FileMode
	brief  bool // only TIMEOUT ends it
}

func neighbours() []neighbour {
	answer := func(text string) string { return "cat >/dev/null; printf '%s' '" + text + "'" }
	return []neighbour{
		{name: "missing"}, {name: "not executable", script: "exit 0", mode: 0o600},
		{name: "killed at once", script: "kill -9 $$"},
		{name: "killed after half an answer", script: `cat >/dev/null; printf '{"nonce":"'; kill -9 $$`},
		{name: "killed by SIGTERM", script: "kill -15 $$"},
		{name: "exit status 1 behind an answer", script: answer(`{"nonce":"x"}`) + "; exit 1"},
		{name: "closes its input", script: "exec 0<&-; exit 0"}, {name: "silent, exit status 0", script: "cat >/dev/null"},
		{name: "no answer", script: "cat >/dev/null; exec sleep 60", brief: true},
		{name: "never reads", script: "exec sleep 60", brief: true},
		{name: "ignores SIGTERM", script: "trap '' TERM INT; cat >/dev/null; sleep 60; sleep 60", brief: true},
		{name: "leaves a child that holds the pipe", script: "cat >/dev/null; sleep 60 & exit 0", brief: true},
		{name: "without end", script: "cat >/dev/null; exec yes"},
		{name: "garbage", script: `cat >/dev/null; head -c 100000 /dev/urandom`},
		{name: "a sign-in page", script: answer("<html>Sign in</html>")}, {name: "null", script: answer("null")},
		{name: "{}", script: answer("{}")}, {name: "a list", script: answer("[]")},
		{name: "100,000 brackets", script: `cat >/dev/null; head -c 100000 /dev/zero | tr '\0' '['`},
		{name: "the question itself", script: "exec cat"},
		{
			name:   "the answer to another question",
			script: answer(`{"nonce":"another","judged":1,"sources":[],"decisions":[],"mistakes":[],"advice":[],"after":false}`),
		},
		{name: "a bare pass for every question", script: answer(`{"judged":1}`)},
	}
}

// TestGuard puts something else in the place of the program that judges guardrails. The login is refused, in time; nothing is sent
// and nothing written but the record of it.
func TestGuard(t *testing.T) {
	k := newKit(t)
	for _, n := range neighbours() {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			s, err := k.beside(n)
			if err != nil {
				t.Fatal(err)
			}
			defer s.end()
			limit := calm
			if n.brief {
				limit = time.Second
			}
			variables := append(s.world.Endpoints(), "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "GUARD_FILE=guard.yaml", "RECORD_FILE=records.jsonl", "TIMEOUT="+limit.String())
			r, err := s.run(variables, nil, "login", limit, nil)
			if err := errors.Join(err, r.checkFailure(1, "✖ guard: no answer from bitbucket-oidc: "), s.checkSecrets(r), s.checkRefused()); err != nil {
				t.Fatal(err)
			}
			found.note(t, tally{failed: 1, hit: 1})
		})
	}
}

// beside is a stand whose pipe has this neighbour, and a guardrail that every login keeps.
func (k kit) beside(n neighbour) (*stand, error) {
	s, err := k.stand(0)
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(s.dir, "bin")
	err = errors.Join(os.Mkdir(bin, 0o700), os.Link(s.pipe, filepath.Join(bin, "pipe")))
	if n.script != "" {
		mode := n.mode
		if mode == 0 {
			mode = 0o700
		}
		err = errors.Join(err, os.WriteFile(filepath.Join(bin, "bitbucket-oidc"), []byte("#!/bin/sh\n"+n.script+"\n"), mode))
	}
	s.pipe = filepath.Join(bin, "pipe")
	rule := "version: 1\nrules:\n  - {name: any, require: \"true\", message: Never refused.}\n"
	return s, errors.Join(err, os.WriteFile(filepath.Join(s.clone(), "guard.yaml"), []byte(rule), 0o600))
}

// checkRefused fails if anything was asked for, or written but the one record of a refusal.
func (s *stand) checkRefused() error {
	if n := len(s.world.STS.Requests()); n != 0 {
		return fmt.Errorf("%d requests", n)
	}
	if _, err := os.Lstat(s.output()); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the output folder: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(s.clone(), "records.jsonl"))
	if err != nil {
		return err
	}
	var line struct {
		StatusCode string `json:"status_code"`
	}
	if err := json.Unmarshal(data, &line); err != nil || !strings.HasPrefix(line.StatusCode, "guardrail.") {
		return fmt.Errorf("one record of a guardrail's refusal is wanted: %v\n%s", err, data)
	}
	return nil
}
