package rules

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/guard"
)

// The samples of the documentation pass their own tests, and there are as many rules as the page promises.
func TestSamples(t *testing.T) {
	names, err := filepath.Glob("../../../docs/guardrails/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	count := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(filepath.Base(name), data)
		if err != nil {
			t.Error(err)
			continue
		}
		count += len(f.Rules)
		exercised := map[string]bool{}
		for _, test := range f.Tests {
			for _, wrong := range f.Run(t.Context(), test) {
				t.Errorf("%s: %s: %s", f.Name, test.Name, wrong)
			}
			for _, rule := range append(test.Refuse, test.Warn...) {
				exercised[rule] = true
			}
		}
		for _, r := range f.Rules {
			if !exercised[r.Name] && r.Action != Audit {
				t.Errorf("%s: no test shows what %s refuses", f.Name, r.Name)
			}
		}
	}
	if count < 12 {
		t.Errorf("%d rules", count)
	}
}

func rule(t *testing.T, text string) Rule {
	t.Helper()
	f, err := Read(
		"guard.yaml",
		[]byte(
			"version: 1\nvariables: [{name: review, expression: \"env.pullRequest != ''\"}]\nrules: [{name: r, message: m, "+
				text+"}]\n",
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	return f.Rules[0]
}

func TestProvenance(t *testing.T) {
	tests := []struct {
		name, text, heldBy string
		advisory, after    bool
	}{
		{"signed", `require: "claims.repositoryUuid == ''"`, HeldByTrust, false, false},
		{"branch", `require: "claims.branchName == ''"`, HeldByDeployment, false, false},
		{"when counts", `when: "env.tag == ''", require: "claims.branchName == ''"`, HeldByNobody, true, false},
		{"through a variable", `when: review, require: "claims.branchName == ''"`, HeldByNobody, true, false},
		{"checkout", `require: "size(pipeline.images) > 0"`, HeldByNobody, true, false},
		{"request alone", `require: "request.account == ''"`, HeldByNobody, false, false},
		{"step", `require: "claims.stepUuid != ''"`, HeldByNobody, false, false},
		{"credential", `require: "credential.account == claims.subject"`, HeldByNobody, false, true},
		{"name inside a comprehension", `require: "request.chain.all(env, env != '')"`, HeldByNobody, true, false}, // taken for the input: on the safe side
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rule(t, tt.text)
			if r.HeldBy() != tt.heldBy || r.Advisory() != tt.advisory || r.After() != tt.after {
				t.Errorf("held by %s, advisory %v, after %v", r.HeldBy(), r.Advisory(), r.After())
			}
		})
	}
}

func TestUntil(t *testing.T) {
	r := rule(t, `require: "false", action: warn, until: 2026-03-31`)
	last := time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC)
	if r.ActionAt(last) != Warn || r.ActionAt(last.Add(time.Hour)) != Deny {
		t.Error("a relaxation counts on its last day, and denies on the day after")
	}
}

func TestBounds(t *testing.T) {
	many := strings.Repeat("  - {name: r, require: \"true\", message: m}\n", maxRules+1)
	if _, err := Read("guard.yaml", []byte("version: 1\nrules:\n"+many)); err == nil || !strings.Contains(err.Error(), "at most 200") {
		t.Errorf("got %v", err)
	}
	if _, err := Read("guard.yaml", []byte("version: 1\n#"+strings.Repeat("x", MaxFile))); err == nil {
		t.Error("a file that is too large was read")
	}
	// What takes long ends, and refuses.
	f, err := Read(
		"guard.yaml",
		[]byte(
			"version: 1\nrules: [{name: r, message: m, require: \"request.scopes.all(a, request.scopes.all(b, "+
				"request.scopes.all(c, a + b + c != '')))\"}]\n",
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	in := guard.Input{Request: guard.Request{Scopes: slices.Repeat([]string{"x"}, 200)}}
	if d := f.Judge(t.Context(), in); !d[0].Refuses() || d[0].Outcome != Broken {
		t.Errorf("the outcome is %s", d[0].Outcome)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestGranted(t *testing.T) {
	m, err := access.Parse("access.yaml", []byte(`version: 1
workspace: {slug: acme, uuid: "{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}
repositories:
  shop: {uuid: "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}", environments: {production: "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"}}
grants:
  - {who: [shop/production], become: ["arn:aws:iam::123456789012:role/a"], session: 1h, branches: ["release/*"]}
  - {who: ["shop/*"], become: ["arn:aws:iam::123456789012:role/b"], until: 2026-01-31}
  - {who: [shop/none], become: ["https://vault.example.com/v1/auth/jwt/role/c", "https://acme.pam.okta.com/acme/pipelines"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	production := guard.Claims{
		WorkspaceUUID: "{7baee083-4f25-4a97-8a9a-0fde1b623b45}", RepositoryUUID: "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}",
		DeploymentEnvironmentUUID: "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}", BranchName: "release/1",
	}
	foreign, plain := production, production
	foreign.WorkspaceUUID, plain.DeploymentEnvironmentUUID = "{00000000-0000-4000-8000-000000000000}", ""
	const a, b = "arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"
	vault := guard.Request{Target: "c", Resource: "https://vault.example.com/v1/auth/jwt/role/c"}
	okta := guard.Request{Target: "workload connection pipelines of team acme", Resource: "https://acme.pam.okta.com/acme/pipelines"}
	tests := []struct {
		name   string
		claims guard.Claims
		ask    guard.Request
		want   string // empty where it is granted
	}{
		{"granted", production, guard.Request{Target: a, Duration: time.Hour}, ""},
		{"too long", production, guard.Request{Target: a, Duration: 2 * time.Hour}, "for 1h0m0s, and 2h0m0s is asked for"},
		{"no environment", plain, guard.Request{Target: a}, "does not grant arn:aws:iam::123456789012:role/a to shop/none"},
		{"another workspace", foreign, guard.Request{Target: a}, "another one"},
		{"expired", production, guard.Request{Target: b}, "ended on 2026-01-31"},
		{"a target by its URL", plain, vault, ""},
		{"Okta's connection", plain, okta, ""},
		{"another environment of it", production, okta, "does not grant"},
		{"not named", plain, guard.Request{Target: "arn:aws:iam::123456789012:role/d"}, "no grant of the map names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Granted(m, guard.Input{Now: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Claims: tt.claims, Request: tt.ask})
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOnBranch(t *testing.T) {
	for _, tt := range []struct {
		glob, matching, others string // branches, separated by spaces
	}{
		{"main", "main", "mains Main release/main"},
		{"release/*", "release/1 release/", "release release/1/2"},
		{"*", "main", "release/1"},
		{"**", "main release/1/2", ""},
		{"release/**", "release/1 release/1/2", "release main"},
		{"**/hotfix", "a/hotfix a/b/hotfix", "hotfix a/hotfix/b"},
		{"release/**/hotfix-*", "release/1/hotfix-2 release/1/2/hotfix-", "release/hotfix-2 release/1/hotfix-2/3"},
		{"a**b**c", "abc axbxc a/b/c abcbc", "ab ac abcb"},
		{"v[0-9].?", "v1.2", "v1.23 va.2"},
		{"[", "", "[ a"},
		{"**" + strings.Repeat("a**", 30), strings.Repeat("a", 250), strings.Repeat("a", 29)},
	} {
		for branch := range strings.FieldsSeq(tt.matching) {
			if !onBranch(tt.glob, branch) {
				t.Errorf("%s does not match %s", tt.glob, branch)
			}
		}
		for branch := range strings.FieldsSeq(tt.others) {
			if onBranch(tt.glob, branch) {
				t.Errorf("%s matches %s", tt.glob, branch)
			}
		}
	}
}
