package mcp

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Errors of the protocol quote what they are about: a tool's name, a resource's address, a message.
func TestErrorsOfTheProtocolAreDiscreet(t *testing.T) {
	for _, q := range []struct{ name, method, params, says string }{
		{"a tool's name", "tools/call", `{"name":"` + token + `"}`, `"code":-32602`},
		{"a message of another form", "tools/call", `{"name":5,"arguments":{"text":"` + token + `"}}`, `"code":-32602`},
		{"a method", token, `{}`, `"code":-32601`},
		{"a resource", "resources/read", `{"uri":"` + token + `"}`, `"code":-32602`},
		{"a resource with controls", "resources/read", `{"uri":"bitbucket-oidc://rules/\u001b[31m"}`, `"code":-32602`},
		{"a long resource", "resources/read", `{"uri":"` + strings.Repeat("x", 50_000) + `"}`, "more bytes"},
		{"a prompt", "prompts/get", `{"name":"` + token + `"}`, `"code":-32602`},
		{"a prompt's argument", "prompts/get", `{"name":"fix_refused_login","arguments":{"text":"` + token + `"}}`, `looks like a credential`},
		{"a prompt's argument of another type", "prompts/get", `{"name":"fix_refused_login","arguments":{"text":5,"x":"` + token + `"}}`, `"code":-32602`},
		{"a second beginning", "initialize", `{}`, `"code":-326`},
	} {
		t.Run(q.name, func(t *testing.T) {
			input := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"` + q.method + `","params":` + q.params + "}\n"
			var out buffer
			if err := Serve(t.Context(), Config{Limit: time.Minute}, io.NopCloser(strings.NewReader(input)), &out); err != nil {
				t.Fatal(err)
			}
			_, answer, _ := strings.Cut(out.String(), "\n")
			if !json.Valid([]byte(answer)) || !strings.Contains(answer, `"error":`) || !strings.Contains(answer, q.says) ||
				strings.Contains(answer, token[12:]) || len(answer) > 6000 {
				t.Errorf("%d bytes: %.600s", len(answer), answer)
			}
		})
	}
}

// One part alone can be longer than an answer may be: its texts are cut.
func TestOnePartIsCut(t *testing.T) {
	c := connect(t, nil)
	for _, filler := range []string{"x", "\x01", `"`, "☃"} {
		long := strings.Repeat(filler, 2000)
		failure := "✖ record: " + long + "\n" + strings.Repeat("hint: "+long+"\n  "+long+"\n", 12)
		got := into[explainedRefusal](t, first(call(t, c, "explain_refusal", object{"text": failure})), true)
		if got.Confidence != "quoted" || !strings.Contains(got.Condition, "more bytes") {
			t.Errorf("%q: %+v", filler, got)
		}
		p, err := c.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "review_trust", Arguments: map[string]string{"document": strings.Repeat(filler, 200_000)}})
		if err != nil || len(text(t, p)) > 20*1024 {
			t.Errorf("%q: %d bytes, %v", filler, len(text(t, p)), err)
		}
	}
}

// What the map accepts is no difference, as for drift.
func TestTheMapAccepts(t *testing.T) {
	c := connect(t, nil)
	ask := func(accept string) drifted {
		arguments := object{"map": accessMap + accept, "documents": one("roles.json", roles(t, 1, repository+":*"))}
		return into[drifted](t, first(call(t, c, "find_drift", arguments)), true)
	}
	before := ask("")
	if before.Errors != 1 || len(before.Differences) != 1 || before.Accepted != 0 {
		t.Fatalf("%+v", before)
	}
	id := before.Differences[0].ID
	after := ask("accept: [{id: \"" + id + "\", until: 2999-01-01, why: it goes soon}]\n")
	if after.Errors != 0 || len(after.Differences) != 0 || after.Accepted != 1 || len(after.Remarks) != 0 {
		t.Errorf("%+v", after)
	}
	over := ask("accept:\n  - {id: \"" + id + "\", until: 2020-01-01, why: it goes soon}\n  - {id: \"000000000000\", until: 2999-01-01, why: gone}\n")
	if over.Errors != 1 || over.Warnings != 2 || over.Accepted != 0 || len(over.Remarks) != 2 ||
		!strings.HasPrefix(over.Remarks[0], "access.yaml:8: accept-expired: ") {
		t.Errorf("%+v", over)
	}
}

// Documents that are too long for content come by path, also where the pipelines file came as content.
func TestAuditTakesDocumentsByPath(t *testing.T) {
	dir := t.TempDir()
	const steps = "pipelines:\n  default:\n    - step:\n        oidc: true\n        script:\n" +
		"          - pipe: docker://acme/bitbucket-oidc:1.0.0\n            variables: {AWS_OIDC_ROLE_ARN: \"arn:aws:iam::123456789012:role/deploy-0\"}\n"
	for name, data := range map[string]string{"roles.json": roles(t, 1, "{other}:*") + strings.Repeat(" ", 300_000), "pipelines.yml": steps} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, root)
	for _, arguments := range []object{
		{"content": steps, "paths": []string{"roles.json"}, "identity": someone()},
		{"paths": []string{"pipelines.yml", "roles.json"}, "identity": someone()},
		{"content": nil, "paths": []string{"pipelines.yml", "roles.json"}, "documents": nil, "identity": someone(), "map": nil},
	} {
		got := into[audited](t, first(call(t, c, "audit_pipeline", arguments)), true)
		if len(got.Steps) != 1 || len(got.Steps[0].Verdicts) != 1 || got.Steps[0].Verdicts[0].Verdict != "deny" {
			t.Errorf("%v: %+v", arguments, got.Steps)
		}
	}
}
