package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/visible"
)

// mostBytes bounds an answer: its structured form together with the same as text, which clients without structured content read.
const mostBytes = 20_000

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
	type outcome struct {
		value T
		err   error
	}
	got := make(chan outcome, 1)
	go func() {
		value, err := run(ctx)
		got <- outcome{value, err}
	}()
	select {
	case o := <-got:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, hint.New(cli.Ended(ctx, "no answer before TIMEOUT ran out"), "give fewer documents or smaller ones")
	}
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

// fit is an answer as JSON, cut so that it stays below [mostBytes].
func fit(a answer) (json.RawMessage, error) {
	clean(reflect.ValueOf(a))
	for n := a.parts(); ; {
		data, err := encode(a)
		if err != nil {
			return nil, err
		}
		sent, err := json.Marshal([]any{data, string(data)}) // as the SDK writes it
		if err != nil {
			return nil, err
		}
		size := len(sent)
		if size <= mostBytes || n == 0 {
			return data, nil
		}
		n = min(n-1, n*mostBytes/size)
		a.keep(n)
	}
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// clean makes every text of an answer visible and takes out what looks like a credential.
func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			clean(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			clean(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			clean(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := v.MapIndex(key)
			v.SetMapIndex(key, reflect.Value{})
			v.SetMapIndex(reflect.ValueOf(cleanText(key.String())), reflect.ValueOf(cleanAny(value.Interface())))
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(cleanText(v.String()))
		}
	}
}

// cleanAny is a copy of a claim's value.
func cleanAny(v any) any {
	switch v := v.(type) {
	case string:
		return cleanText(v)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = cleanAny(v[i])
		}
		return all
	case map[string]any:
		all := map[string]any{}
		for key, value := range v {
			all[cleanText(key)] = cleanAny(value)
		}
		return all
	}
	return v
}

// credentials are the forms of what must not be repeated: tokens of identity providers, Vault and Google, AWS's session tokens and
// secret keys beside their names, private keys.
var credentials = pattern.New(`eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*|\bhv[sbr]\.[A-Za-z0-9_-]{16,}|\bya29\.[A-Za-z0-9._-]{16,}|` +
	`\b(?:IQoJ|FwoG)[A-Za-z0-9+/=]{32,}|(?i:secret_?access_?key)\W{1,4}[A-Za-z0-9+/]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*`)

func cleanText(text string) string {
	return visible.Lines(credentials.ReplaceAllString(text, "[looks like a credential: left out]"))
}

// mostOfAnError bounds what an error repeats of the arguments.
const mostOfAnError = 2000

// short is at most so many bytes of a text.
func short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := text[:most]
	for !utf8.ValidString(cut) && len(cut) > most-utf8.UTFMax {
		cut = cut[:len(cut)-1]
	}
	return fmt.Sprintf("%s… (%d more bytes)", cut, len(text)-len(cut))
}

// discreet makes the SDK's own errors short and visible, and keeps credentials out of them: they quote arguments.
func discreet(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
		result, err := next(ctx, method, req)
		if r, ok := result.(*sdk.CallToolResult); ok && r != nil && r.IsError {
			for _, c := range r.Content {
				if text, ok := c.(*sdk.TextContent); ok {
					text.Text = cleanText(short(text.Text, mostOfAnError))
				}
			}
		}
		return result, err
	}
}
