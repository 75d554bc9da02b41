package judge

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// What is to be pasted does nothing else than it says, whatever stands in claims and files.
func TestCommandsRunNothingElse(t *testing.T) {
	const evil = "/$(touch pwned)`touch pwned`';touch pwned;'\";touch pwned;\""
	claims, _ := json.Marshal(map[string]any{
		"iss": trusttest.Issuer + evil, "aud": []string{trusttest.Workspace + evil, evil}, "sub": evil, "repositoryUuid": evil, "deploymentEnvironmentUuid": evil,
		"stepUuid": evil, "workspaceUuid": evil,
	})
	id, err := bitbucket.FromClaims(claims)
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(evil)
	with := func(document string) trust.File {
		return trust.File{Name: "x", Data: []byte(strings.ReplaceAll(document, `"EVIL"`, string(quoted)))}
	}
	pool, _ := json.Marshal("projects/1/locations/global/workloadIdentityPools/x'$(touch pwned)/providers/p'$(touch pwned)")
	member, _ := json.Marshal(trusttest.Set("attribute.r/") + evil)
	all, _ := json.Marshal(trusttest.Set("*") + evil)
	var commands []string
	for _, files := range [][]trust.File{
		{with(`{"Url": "x", "ClientIDList": []}`)},
		{with(`{"name": ` + string(pool) + `, "disabled": true, "expireTime": "2020-01-01T00:00:00Z", "oidc": {"issuerUri": "x", "allowedAudiences": ["EVIL"]},
			"attributeMapping": {"attribute.e": "assertion.e", "attribute.x": "'$(touch pwned)` + "`touch pwned`" + `'", "google.subject": "assertion.sub"},
			"attributeCondition": "false"}`)},
		{with(`{"name": "EVIL", "state": "DELETED", "oidc": {}, "attributeMapping": {"google.subject": "'" }}`),
			with(`{"bindings": [{"role": "projects/x'$(touch pwned)", "members": [` + string(member) + `, ` + string(all) + `, "allUsers"]}]}`)},
		{with(`{"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": ["allUsers", ` + string(member) + `]}]}`)},
		{with(`{"data": {"user_claim": "sub", "bound_subject": "EVIL", "bound_audiences": ["EVIL' END"], "bound_claims": {"sub": "EVIL"}}}`)},
	} {
		results, err := Judge(files, id, trusttest.Options())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			for _, f := range r.Findings {
				if regexp.MustCompile(`^(aws|gcloud|vault) `).MatchString(f.Fix.Text) {
					commands = append(commands, f.Fix.Text)
				}
			}
		}
	}
	if len(commands) < 15 {
		t.Errorf("only %d commands", len(commands))
	}
	commands = append(commands, setup.AWSCreateProvider(id.Claims), setup.GCPBinding(evil, evil), setup.GCPProviderCommand("describe", evil))
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
