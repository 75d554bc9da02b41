package trust

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What a shell makes of a word is what was put into it.
func TestShellWord(t *testing.T) {
	words := []string{"", "plain", "a=b", "=ls", "~", "it's", `"`, "$HOME", "`id`", `\`, "!!", "a b", "*", "#x", "a;b", "{a,b}", "é", "'\"$`\\!\n"}
	r := rand.New(rand.NewPCG(3, 3))
	for range 100 {
		word := make([]byte, r.IntN(12))
		for i := range word {
			word[i] = byte(32 + r.IntN(95))
		}
		words = append(words, string(word))
	}
	var command strings.Builder
	command.WriteString("printf '%s\\0'")
	for _, word := range words {
		command.WriteString(" " + ShellWord(word))
	}
	out, err := exec.Command("sh", "-c", command.String()).Output()
	if got, want := string(out), strings.Join(words, "\x00")+"\x00"; err != nil || got != want {
		t.Errorf("%v: %q, want %q", err, got, want)
	}
}

// What is to be pasted does nothing else than it says, whatever stands in claims and files.
func TestCommandsRunNothingElse(t *testing.T) {
	const evil = "/$(touch pwned)`touch pwned`';touch pwned;'\";touch pwned;\""
	claims, _ := json.Marshal(map[string]any{
		"iss": testIssuer + evil, "aud": []string{testWorkspace + evil, evil}, "sub": evil, "repositoryUuid": evil, "deploymentEnvironmentUuid": evil,
		"stepUuid": evil, "workspaceUuid": evil,
	})
	id, err := FromClaims(claims)
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(evil)
	with := func(document string) File {
		return File{Name: "x", Data: []byte(strings.ReplaceAll(document, `"EVIL"`, string(quoted)))}
	}
	pool, _ := json.Marshal("projects/1/locations/global/workloadIdentityPools/x'$(touch pwned)/providers/p'$(touch pwned)")
	member, _ := json.Marshal(set("attribute.r/") + evil)
	all, _ := json.Marshal(set("*") + evil)
	var commands []string
	for _, files := range [][]File{
		{with(`{"Url": "x", "ClientIDList": []}`)},
		{with(`{"name": ` + string(pool) + `, "disabled": true, "expireTime": "2020-01-01T00:00:00Z", "oidc": {"issuerUri": "x", "allowedAudiences": ["EVIL"]},
			"attributeMapping": {"attribute.e": "assertion.e", "attribute.x": "'$(touch pwned)` + "`touch pwned`" + `'", "google.subject": "assertion.sub"}, "attributeCondition": "false"}`)},
		{with(`{"name": "EVIL", "state": "DELETED", "oidc": {}, "attributeMapping": {"google.subject": "'" }}`),
			with(`{"bindings": [{"role": "projects/x'$(touch pwned)", "members": [` + string(member) + `, ` + string(all) + `, "allUsers"]}]}`)},
		{with(`{"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": ["allUsers", ` + string(member) + `]}]}`)},
		{with(`{"data": {"user_claim": "sub", "bound_subject": "EVIL", "bound_audiences": ["EVIL' EOF"], "bound_claims": {"sub": "EVIL"}}}`)},
	} {
		results, err := Judge(files, id, options())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			for _, f := range r.Findings {
				if regexp.MustCompile(`^(aws|gcloud|vault) `).MatchString(f.Fix) {
					commands = append(commands, f.Fix)
				}
			}
		}
	}
	if len(commands) < 15 {
		t.Errorf("only %d commands", len(commands))
	}
	commands = append(commands, AWSCreateProvider(id.Claims), GCPBinding(evil, evil), GCPProviderCommand("describe", evil))
	for _, command := range commands {
		sh := exec.Command("sh", "-c", "aws() { :; }; gcloud() { :; }; vault() { :; }\n"+command)
		sh.Dir = t.TempDir()
		if out, err := sh.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", command, err, out)
		}
		if left, _ := os.ReadDir(sh.Dir); len(left) > 0 {
			t.Errorf("a shell would run more than %s", command)
		}
	}
}
