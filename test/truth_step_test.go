package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/internal/record/ocsftest"
	"bitbucket-oidc/test/cloud"
)

// A truth is a step whose records are held against what really happened: the claims that were signed, the requests that were made, the
// answers that were given.
type truth struct {
	t         *testing.T
	pipe      string
	world     *cloud.World
	others    *cloud.Others
	clone     string
	step      cloud.Step
	token     string
	variables map[string]string // Bitbucket's, that differ from step to step
	compared  map[string]bool   // attributes, of all steps
	ids       map[string]bool   // of records

	from, to time.Time // of the run
	out      string    // what it printed
	command  string    // the id of its first record

	mu    sync.Mutex
	heard []said // of the run
}

const (
	triggerer    = "{5d1f0000-0000-4000-8000-000000000000}"
	commit       = "3f1c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4"
	truthImage   = "golang:1.26@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	inlinePolicy = `{"Version":"2012-10-17","Statement":[]}`
	truthRules   = "version: 1\nrules:\n  - {name: any-branch, require: claims.branchName != '', message: A branch.}\n" +
		"  - {name: short, require: credential.expires - now <= duration('2h'), message: Short.}\n" +
		"  - {name: no-admin, require: \"!request.target.endsWith('admin')\", message: No administrator.}\n" +
		"  - {name: no-pull-request, when: env.pullRequest != '', require: 'false', action: warn, message: None.}\n"
)

func newTruth(t *testing.T, pipe string, compared map[string]bool) *truth {
	t.Helper()
	world, err := cloud.StartWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	tr := &truth{
		t: t, world: world, pipe: pipe, clone: t.TempDir(), step: cloud.DefaultStep(), compared: compared, ids: map[string]bool{},
		variables: map[string]string{"BITBUCKET_BRANCH": "main", "BITBUCKET_BUILD_NUMBER": "42", "BITBUCKET_DEPLOYMENT_ENVIRONMENT": "production"},
	}
	if tr.others, err = cloud.StartOthers(world.Issuer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.others.Close)
	for _, server := range []*cloud.Server{
		tr.world.STS, tr.world.GoogleSTS, tr.world.IAMCredentials, tr.others.Servers["vault"], tr.others.Servers["okta"], tr.others.Servers["oauth"],
	} {
		tr.listen(server)
	}
	tr.step.EnvironmentUUID = cloud.EnvironmentUUID
	tr.token = world.Issuer.Token(tr.step)
	tr.write("bitbucket-pipelines.yml", "image: "+truthImage+"\npipelines: {default: [{step: {oidc: true, script: [./deploy]}}]}\n")
	tr.write("guard.yaml", truthRules)
	return tr
}

func (tr *truth) write(name, text string) {
	tr.t.Helper()
	if err := os.WriteFile(filepath.Join(tr.clone, name), []byte(text), 0o600); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *truth) read(name string) []byte {
	tr.t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.clone, name))
	if err != nil {
		tr.t.Fatal(err)
	}
	return data
}

// records are those of a run, flat: the path of each value, and the value as JSON. What guardrails would see is read as well, its times
// in milliseconds, and without what is empty.
func (tr *truth) records(command string, status int, variables ...string) []map[string]string {
	tr.t.Helper()
	file := filepath.Join(tr.clone, "records.jsonl")
	_ = os.Remove(file)
	tr.run(command, status, append(variables, "RECORD_FILE=records.jsonl")...)
	data, err := os.ReadFile(file)
	if err != nil {
		tr.t.Fatal(err)
	}
	if err := cloud.CheckText(strings.ReplaceAll(string(data), "ASIA", ""), append(tr.world.Secrets(), tr.others.Secrets()...)); err != nil {
		tr.t.Error(err)
	}
	var all []map[string]string
	for line := range bytes.Lines(data) {
		for _, problem := range ocsftest.Problems(bytes.TrimSpace(line)) {
			tr.t.Error(problem)
		}
		one := flat(line)
		for path, value := range flat([]byte(one["unmapped/guard.input"])) {
			if at, err := time.Parse(time.RFC3339Nano, value); err == nil && !strings.HasPrefix(path, "claims/") {
				value = fmt.Sprint(at.UnixMilli())
			}
			if value != "" {
				one["guard.input/"+path] = value
			}
		}
		delete(one, "unmapped/guard.input")
		all = append(all, one)
	}
	if len(all) > 0 {
		tr.command = all[0]["metadata/uid"]
	}
	return all
}

// run runs a command of the program in the step.
func (tr *truth) run(command string, status int, variables ...string) {
	tr.t.Helper()
	tr.mu.Lock()
	tr.heard = nil
	tr.mu.Unlock()
	cmd := exec.CommandContext(tr.t.Context(), tr.pipe, command)
	cmd.Dir = tr.clone
	cmd.Env = slices.Concat([]string{
		"BITBUCKET_CLONE_DIR=" + tr.clone, "BITBUCKET_STEP_OIDC_TOKEN=" + tr.token, "BITBUCKET_WORKSPACE=" + cloud.Workspace,
		"BITBUCKET_REPO_SLUG=shop", "BITBUCKET_REPO_FULL_NAME=acme/shop", "BITBUCKET_COMMIT=" + commit,
		"BITBUCKET_STEP_TRIGGERER_UUID=" + triggerer,
	}, tr.world.Endpoints(), variables)
	for name, value := range tr.variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	tr.from = time.Now()
	out, _ := cmd.CombinedOutput()
	tr.to, tr.out = time.Now(), string(out)
	if got := cmd.ProcessState.ExitCode(); got != status {
		tr.t.Fatalf("exit status %d, want %d:\n%s", got, status, out)
	}
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// caption adds a number of the schema's and its caption.
func caption(into map[string]string, name, number, text string) {
	into[name+"_id"], into[name] = number, text
}

// ends says how it ended.
func ends(activity, name, status, action, disposition, how, severity string) map[string]string {
	m := map[string]string{
		"activity_id": activity, "activity_name": name, "type_uid": "30020" + activity, "type_name": "Authentication: " + name,
		"is_alert": "false", "is_new_logon": "false",
	}
	caption(m, "status", status, map[string]string{"1": "Success", "2": "Failure"}[status])
	caption(m, "action", action, map[string]string{"1": "Allowed", "2": "Denied"}[action])
	caption(m, "disposition", disposition, how)
	caption(m, "severity", map[string]string{"Informational": "1", "High": "4"}[severity], severity)
	return m
}

// judgedBy is a file of guardrails and what it said.
func judgedBy(decision string, outcomes ...string) map[string]string {
	m := map[string]string{"authorizations/0/decision": decision}
	for _, path := range []string{"policy/", "authorizations/0/policy/"} {
		m[path+"name"], m[path+"uid"], m[path+"version"], m[path+"is_applied"] = "guard.yaml", "sha256:"+digestOf(truthRules), commit, "true"
	}
	for i := 0; i < len(outcomes); i += 2 {
		m["unmapped/guard."+outcomes[i]] = outcomes[i+1]
	}
	return m
}

var (
	onlyControl = map[string]string{"metadata/profiles/0": "security_control"}
	success     = ends("1", "Logon", "1", "1", "1", "Allowed", "Informational")
	newLogon    = map[string]string{"is_new_logon": "true"}
)

func event(code string, sequence int, message string) map[string]string {
	return map[string]string{"metadata/event_code": code, "metadata/sequence": fmt.Sprint(sequence), "message": message}
}
