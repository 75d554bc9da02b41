package mcp

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
)

func TestAnswers(t *testing.T) {
	c := connect(t, nil)
	listed, err := c.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	const (
		quiet = "pipelines:\n  default:\n    - step:\n        oidc: true\n        script: [echo]\n"
		asks  = `pipelines:
  branches:
    main:
      - step:
          oidc: true
          script:
            - pipe: docker://acme/bitbucket-oidc:1.0.0
              variables: {AWS_OIDC_ROLE_ARN: 'arn:aws:iam::123456789012:role/deploy-0'}
`
		guard = "version: 1\nrules:\n  - {name: release-only, require: \"claims.branchName.startsWith('release/')\", message: Only releases deploy.}\n"
	)
	claims := object{
		"iss": "https://" + provider, "aud": "ari:cloud:bitbucket::workspace/" + strings.Trim(workspaceUUID, "{}"), "sub": repository + ":" + environment,
	}
	refused := assuming("default", 123456789012, "deploy")
	asked := map[string]bool{}
	for _, q := range []struct {
		name, tool string
		arguments  object
		has        []string
	}{
		{
			name: "explained", tool: "explain_identity", arguments: object{"identity": someone()},
			has: []string{`"` + repository + `:*`, `"target":"vault"`, "create-open-id-connect-provider", `"made_up":true`},
		},
		{
			name: "of claims", tool: "explain_identity", arguments: object{"identity": object{"claims": claims}},
			has: []string{`"made_up":false`, `"` + repository + `:*`},
		},
		{
			name: "terraform", tool: "explain_identity", arguments: object{"identity": someone(), "target": "terraform"},
			has: []string{"aws_iam_role"},
		},
		{
			name: "allowed", tool: "check_trust",
			arguments: object{"identity": someone(), "documents": one("a.json", text(t, policy(repository+":*")))},
			has:       []string{`"allow":1`, `"verdict":"allow"`, `"file":"a.json"`},
		},
		{
			name: "denied", tool: "check_trust",
			arguments: object{"identity": someone(), "documents": one("a.json", text(t, policy(environment+":*")))},
			has:       []string{`"deny":1`, `"change_to":"\"StringLike\": `, `:sub wants ` + environment + `:*; the token has ` + repository},
		},
		{
			name: "everybody", tool: "who_gets_in", arguments: object{"documents": one("a.json", text(t, policy("*")))},
			has: []string{"any other repository/", `"witness":{"aud"`},
		},
		{
			name: "nobody", tool: "who_gets_in", arguments: object{"documents": one("a.json", text(t, policy("nobody")))},
			has: []string{`"who":[]`, `"witness":{}`},
		},
		{
			name: "audited", tool: "audit_pipeline", arguments: object{"content": quiet},
			has: []string{`"token":true`, `"rule":"oidc-unused"`},
		},
		{
			name: "audited with documents", tool: "audit_pipeline",
			arguments: object{"content": asks, "documents": one("roles.json", roles(t, 1, environment+":*")), "identity": someone(), "map": accessMap},
			has:       []string{`"rule":"trust-refuses"`, `"rule":"map-not-granted"`, `"verdict":"deny"`},
		},
		{
			name: "audited with guardrails", tool: "audit_pipeline",
			arguments: object{"content": asks, "documents": one("guard.yaml", guard), "identity": someone()},
			has:       []string{`"rule":"guard-refuses"`, "release-only", "Only releases deploy."},
		},
		{
			name: "audited with guardrails and documents", tool: "audit_pipeline",
			arguments: object{
				"content": asks, "identity": someone(),
				"documents": append(one("guard.yaml", guard), one("roles.json", roles(t, 1, environment+":*"))...),
			},
			has: []string{`"rule":"guard-refuses"`, `"rule":"trust-refuses"`},
		},
		{
			name: "drift", tool: "find_drift",
			arguments: object{"map": accessMap, "documents": one("roles.json", roles(t, 2, repository+":*"))},
			has:       []string{`"kind":"wider"`, `"kind":"unlisted"`, `"witness":{"aud"`, `"source":"aws:123456789012"`},
		},
		{
			name: "a refusal", tool: "explain_refusal", arguments: object{"text": refused, "identity": someone()},
			has: []string{`"known":true`, `"confidence":"certain"`, repository + ":*", "the trust policy of role deploy"},
		},
		{
			name: "an unknown failure", tool: "explain_refusal", arguments: object{"text": "✖ aws default: something else"},
			has: []string{`"known":false`, `"unexplained":1`, `"confidence":"quoted"`},
		},
	} {
		t.Run(q.name, func(t *testing.T) {
			asked[q.tool] = true
			got, ok := call(t, c, q.tool, q.arguments)
			if !ok {
				t.Fatal(got)
			}
			for _, has := range q.has {
				if !strings.Contains(got, has) {
					t.Errorf("no %s in\n%s", has, got)
				}
			}
			i := slices.IndexFunc(listed.Tools, func(tool *sdk.Tool) bool { return tool.Name == q.tool })
			if err := validate(t, listed.Tools[i].OutputSchema, got); err != nil {
				t.Errorf("%v: %s", err, got)
			}
		})
	}
	for _, tool := range listed.Tools {
		if !asked[tool.Name] {
			t.Errorf("no answer of %s was seen", tool.Name)
		}
	}
}

func validate(t *testing.T, schema any, answer string) error {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(text(t, schema)), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatal(err)
	}
	return resolved.Validate(v)
}

func TestAnswersAreCut(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{
		"roles.json": roles(t, 600, "*"), "map.yaml": accessMap,
		"pipelines.yml": "pipelines:\n  custom:\n" + manySteps(300),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, root)
	for tool, arguments := range map[string]object{
		"check_trust":     {"identity": someone(), "paths": []string{"roles.json"}},
		"who_gets_in":     {"paths": []string{"./roles.json"}},
		"find_drift":      {"map": "map.yaml", "paths": []string{"roles.json"}},
		"audit_pipeline":  {"paths": []string{"pipelines.yml"}},
		"explain_refusal": {"text": manyRefusals(150)},
	} {
		got, ok := call(t, c, tool, arguments)
		if !ok {
			t.Errorf("%s: %s", tool, got)
			continue
		}
		var cut struct{ More int }
		if err := json.Unmarshal([]byte(got), &cut); err != nil || cut.More < 20 {
			t.Errorf("%s: %d more, %v", tool, cut.More, err)
		}
		if len(got) < 4000 {
			t.Errorf("%s: only %d bytes are left", tool, len(got))
		}
	}
	got := into[checked](t, first(call(t, c, "check_trust", object{"identity": someone(), "paths": []string{"roles.json"}})), true)
	left := len(got.Results) + got.More
	for _, r := range got.Results {
		left += len(r.Findings)
	}
	if got.Allow != 600 || left != 600+got.Errors+got.Warnings+got.Notes {
		t.Errorf("%d allowed, %d results and findings", got.Allow, left)
	}
}

func first(s string, _ bool) string { return s }

func manySteps(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "    run-%d:\n      - step:\n          oidc: true\n          script: [echo]\n", i)
	}
	return b.String()
}

func manyRefusals(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(assuming(fmt.Sprintf("p%d", i), i, fmt.Sprintf("r%d", i)) + "\n")
	}
	return b.String()
}

// assuming is what login prints when AWS refuses a role.
func assuming(profile string, account int, role string) string {
	return fmt.Sprintf("✖ aws %s: assuming arn:aws:iam::%012d:role/%s: AccessDenied: the role does not exist, or its trust policy does not let this step in",
		profile, account, role)
}

// Whatever is asked, the cells are those that check --reach prints.
func TestWhoGetsInIsWhatCheckPrints(t *testing.T) {
	c := connect(t, nil)
	for _, document := range []string{
		text(t, policy("*")), text(t, policy(repository+":*")), text(t, policy(repository+":"+environment+":*")), text(t, policy("*:"+environment+":*")),
		roles(t, 2, "{2*"),
	} {
		got := into[reached](t, first(call(t, c, "who_gets_in", object{"documents": one("x.json", document)})), true)
		want, err := judge.Reach(t.Context(), []trust.File{{Name: "x.json", Data: []byte(document)}}, bitbucket.Universe{Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if len(want) != len(got.Results) || len(want) == 0 {
			t.Fatalf("%d results, and check has %d", len(got.Results), len(want))
		}
		for i, r := range want {
			var who, witnesses []string
			for _, cell := range r.Cells {
				if cell.Reach.Maybe {
					who, witnesses = append(who, cell.Who), append(witnesses, text(t, cell.Reach.Witness.All))
				}
			}
			g := got.Results[i]
			if g.File != r.File || g.Name != r.Name || !slices.Equal(g.Who, who) || !slices.Contains(witnesses, text(t, g.Witness)) {
				t.Errorf("%+v, and check has %+v", g, r)
			}
		}
	}
}
