package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/visible"
)

// mostBytes bounds an answer: its structured form together with the same as text, which clients without structured content read. What the
// protocol puts around them takes some hundred bytes more, and stays below 20,000 with them.
const mostBytes = 19_500

// An answer can be cut to the first so many of its parts. It counts those that it leaves out.
type answer interface {
	parts() int
	keep(parts int)
}

// add adds a tool. Its schemas come from the types, and are closed for the arguments.
func add[In, Out any, P interface {
	*Out
	answer
}](s server, name, title, description string, run func(context.Context, In) (Out, error)) {
	no := false
	tool := &sdk.Tool{
		Name: name, Title: title, Description: description, OutputSchema: schemaOf[Out](), InputSchema: schemaOf[In](),
		Annotations: &sdk.ToolAnnotations{Title: title, ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: &no, OpenWorldHint: &no},
	}
	sdk.AddTool(s.Server, tool, func(ctx context.Context, _ *sdk.CallToolRequest, in In) (*sdk.CallToolResult, any, error) {
		out, err := within(ctx, s, func(ctx context.Context) (Out, error) { return run(ctx, in) })
		if err != nil {
			return nil, nil, errors.New(told(err))
		}
		data, err := fit(P(&out))
		if err != nil {
			return nil, nil, err
		}
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: string(data)}}}, data, nil
	})
}

// within runs a call within the time that an answer may take: a small document can be made to take long.
func within[T any](ctx context.Context, s server, run func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	value, err := cli.Await(ctx, func() (T, error) { return run(ctx) })
	if errors.Is(err, cli.ErrUnfinished) {
		err = hint.New(cli.Ended(ctx, "no answer before TIMEOUT ran out"), "give fewer documents or smaller ones")
	}
	return value, err
}

// schemaOf is the schema of a type, where a list is always a list and never null: some clients take no alternatives.
func schemaOf[T any]() *jsonschema.Schema {
	schema, err := jsonschema.For[T](nil)
	if err != nil {
		return nil // cannot be, or adding the tool fails: the types are this package's
	}
	definite(schema)
	return schema
}

func definite(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	for _, p := range s.Properties {
		definite(p)
	}
	definite(s.Items)
}

// told is an error with its hints, as people see them.
func told(err error) string {
	var lines []string
	for _, failure := range hint.Failures(err) {
		lines = append(lines, visible.Text(failure.Error()))
		for _, advice := range hint.All(failure) {
			lines = append(lines, "hint: "+visible.Lines(advice))
		}
	}
	return strings.Join(lines, "\n")
}

// fit is an answer as JSON, cut so that it stays below [mostBytes]: to its first parts, and if one is too long to the beginnings of its
// texts.
func fit(a answer) (json.RawMessage, error) {
	texts(reflect.ValueOf(a), cleanText)
	for n, most := a.parts(), mostBytes/4; ; {
		data, err := encode(a)
		if err != nil {
			return nil, err
		}
		sent, err := json.Marshal([]any{data, string(data)}) // as the SDK writes it
		if err != nil {
			return nil, err
		}
		size := len(sent)
		switch {
		case size <= mostBytes || most == 0:
			return data, nil
		case n > 0:
			n = min(n-1, n*mostBytes/size)
			a.keep(n)
		default:
			texts(reflect.ValueOf(a), func(text string) string { return short(text, most) })
			most /= 2
		}
	}
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
