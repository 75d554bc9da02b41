package mcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/visible"
)

// texts puts every text of an answer through a function.
func texts(v reflect.Value, through func(string) string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			texts(v.Elem(), through)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			texts(v.Field(i), through)
		}
	case reflect.Slice:
		for i := range v.Len() {
			texts(v.Index(i), through)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := v.MapIndex(key)
			v.SetMapIndex(key, reflect.Value{})
			v.SetMapIndex(reflect.ValueOf(through(key.String())), reflect.ValueOf(copied(value.Interface(), through)))
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(through(v.String()))
		}
	}
}

// copied is a copy of a claim's value, or of other JSON, with every text through a function.
func copied(v any, through func(string) string) any {
	switch v := v.(type) {
	case string:
		return through(v)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = copied(v[i], through)
		}
		return all
	case map[string]any:
		all := map[string]any{}
		for key, value := range v {
			all[through(key)] = copied(value, through)
		}
		return all
	}
	return v
}

// credentials are the forms of what must not be repeated: tokens of identity providers, Vault and Google, AWS's session tokens and
// secret keys beside their names, private keys.
var credentials = pattern.New(`eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*|\bhv[sbr]\.[A-Za-z0-9_-]{16,}|\bya29\.[A-Za-z0-9._-]{16,}|` +
	`\b(?:IQoJ|FwoG)[A-Za-z0-9+/=]{32,}|(?i:secret_?access_?key)\W{1,4}[A-Za-z0-9+/]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*`)

// cleanText makes a text visible and takes out what looks like a credential.
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

// discreet makes the SDK's errors about arguments short and visible, and keeps credentials out of them: they quote arguments.
func discreet(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
		if call, ok := req.(*sdk.CallToolRequest); ok && call.Params != nil {
			call.Params.Arguments = withoutNulls(call.Params.Arguments)
		}
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

// withoutNulls is arguments without members that are null: some clients send one for each argument that a model leaves out. Claims are
// somebody's data and stay as they are.
func withoutNulls(arguments json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if !bytes.Contains(arguments, []byte("null")) || json.Unmarshal(arguments, &members) != nil {
		return arguments
	}
	for name, value := range members {
		switch {
		case string(value) == "null":
			delete(members, name)
		case name == "identity":
			members[name] = withoutNulls(value)
		}
	}
	kept, err := json.Marshal(members)
	if err != nil {
		return arguments
	}
	return kept
}

// refused is an error of the protocol as it goes out: like those about arguments, it may quote what it is about.
func refused(err error) error {
	out := jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest}
	var has *jsonrpc.Error
	if errors.As(err, &has) {
		out.Code = cmp.Or(has.Code, out.Code)
		var data any
		if json.Unmarshal(has.Data, &data) == nil {
			out.Data, _ = json.Marshal(copied(data, func(text string) string { return short(cleanText(text), mostOfAnError) }))
		}
	}
	out.Message = cleanText(short(err.Error(), mostOfAnError))
	return &out
}
