package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	workspaceUUID = "{7baee083-4f25-4a97-8a9a-0fde1b623b45}"
	repository    = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	environment   = "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"
	provider      = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	token         = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
)

type object = map[string]any

func someone() object {
	return object{"workspace": "acme", "workspace_uuid": workspaceUUID, "repository_uuid": repository}
}

// policy lets in the subjects that fit a pattern.
func policy(subject string) object {
	return object{"Version": "2012-10-17", "Statement": []object{{
		"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": object{"Federated": "arn:aws:iam::123456789012:oidc-provider/" + provider},
		"Condition": object{
			"StringEquals": object{provider + ":aud": "ari:cloud:bitbucket::workspace/" + strings.Trim(workspaceUUID, "{}")},
			"StringLike":   object{provider + ":sub": subject},
		},
	}}}
}

func roles(t *testing.T, n int, subject string) string {
	t.Helper()
	var all []object
	for i := range n {
		name := fmt.Sprintf("deploy-%d", i)
		all = append(all, object{
			"RoleName": name, "Arn": "arn:aws:iam::123456789012:role/" + name, "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": policy(subject),
		})
	}
	return text(t, object{"Roles": all})
}

func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func one(name, content string) []object { return []object{{"name": name, "content": content}} }

const accessMap = `version: 1
workspace: {slug: acme, uuid: "` + workspaceUUID + `"}
repositories:
  shop: {uuid: "` + repository + `", environments: {production: "` + environment + `"}}
grants:
  - {who: [shop/production], become: ["arn:aws:iam::123456789012:role/deploy-0"]}
`

// connect starts a server and a client of it.
func connect(t *testing.T, root *os.Root) *sdk.ClientSession {
	t.Helper()
	in, out := sdk.NewInMemoryTransports()
	server := newServer(Config{Version: "1", Root: root, Limit: time.Minute})
	if _, err := server.Connect(t.Context(), in, nil); err != nil {
		t.Fatal(err)
	}
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), out, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// call is a tool's answer: its structured content as JSON, or the text of its error.
func call(t *testing.T, c *sdk.ClientSession, tool string, arguments any) (string, bool) {
	t.Helper()
	r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatal(err)
	}
	shown := r.Content[0].(*sdk.TextContent).Text
	if whole := text(t, r); len(whole) > 20*1024 {
		t.Errorf("%s: an answer of %d bytes", tool, len(whole))
	}
	if r.IsError {
		return shown, false
	}
	got := text(t, r.StructuredContent)
	var a, b any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(shown), &b) != nil || text(t, a) != text(t, b) {
		t.Errorf("%s: the text is not the structured content:\n%s\n%s", tool, shown, got)
	}
	return got, true
}

// into decodes an answer.
func into[T any](t *testing.T, answer string, ok bool) (v T) {
	t.Helper()
	if !ok {
		t.Fatal(answer)
	}
	dec := json.NewDecoder(strings.NewReader(answer))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return v
}

// Clients show and trust what a tool announces.
func TestToolsAreReadOnlyAndClosed(t *testing.T) {
	listed, err := connect(t, nil).ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if size := len(text(t, listed)); size > 20*1024 {
		t.Errorf("the list takes %d bytes of every conversation", size)
	}
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
		a := tool.Annotations
		if !a.ReadOnlyHint || !a.IdempotentHint || *a.DestructiveHint || *a.OpenWorldHint {
			t.Errorf("%s: %+v", tool.Name, a)
		}
		for _, schema := range []any{tool.InputSchema, tool.OutputSchema} {
			open := strings.Count(text(t, schema), `"additionalProperties":true`)
			if open > strings.Count(text(t, schema), `"claims"`)+strings.Count(text(t, schema), `"witness"`) {
				t.Errorf("%s: an open object in %s", tool.Name, text(t, schema))
			}
			if strings.Contains(text(t, schema), `"null"`) {
				t.Errorf("%s: null in %s", tool.Name, text(t, schema))
			}
		}
	}
	want := []string{"audit_pipeline", "check_trust", "explain_identity", "explain_refusal", "find_drift", "who_gets_in"}
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
}

func TestRulesAreResources(t *testing.T) {
	c := connect(t, nil)
	read := func(uri string) string {
		t.Helper()
		r, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		if err != nil {
			t.Fatal(err)
		}
		return r.Contents[0].Text
	}
	list := read(rulesURI)
	for _, r := range allRules() {
		if !strings.Contains(list, "`"+r.Name+"`") || !strings.HasPrefix(read(rulesURI+"/"+r.Name), "# "+r.Name+"\n") {
			t.Errorf("%s is not there", r.Name)
		}
	}
	for _, wrong := range []string{"nope", "../rules", "", "a/b"} {
		if _, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: rulesURI + "/" + wrong}); err == nil {
			t.Errorf("%q is there", wrong)
		}
	}
}

// A script writes its requests and closes its end at once: it gets every answer, and the server ends without an error.
func TestServeAnswersWhatWasAsked(t *testing.T) {
	const begin = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":` +
		`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
`
	for _, c := range []struct {
		name, input string
		answers     int
		fails       bool
	}{
		{"nothing", "", 0, false},
		{"begin", begin, 1, false},
		{"requests", begin + strings.Repeat(`{"jsonrpc":"2.0","id":"ID","method":"tools/call","params":{"name":"who_gets_in","arguments":{}}}`+"\n", 40), 41, false},
		{"no protocol", "GET / HTTP/1.1\r\n\r\n", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			input := c.input
			for i := range 40 {
				input = strings.Replace(input, `"ID"`, fmt.Sprint(i+2), 1)
			}
			var out buffer
			err := Serve(t.Context(), Config{Limit: time.Minute}, io.NopCloser(strings.NewReader(input)), &out)
			if (err != nil) != c.fails || strings.Count(out.String(), "\n") != c.answers {
				t.Errorf("%v: %s", err, out.String())
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	never, _ := io.Pipe()
	cancel()
	if err := Serve(ctx, Config{Limit: time.Minute}, never, &buffer{}); err == nil {
		t.Error("a server that is stopped ends well")
	}
}

type buffer struct{ strings.Builder }

func (*buffer) Close() error { return nil }
