package cli

import (
	"encoding/json"
	"strings"
)

// JSON is a value as indented JSON. The value is made of texts, numbers, lists and objects.
func JSON(v any) string { return marshal(v, "  ") }

// CompactJSON is a value as JSON in one line.
func CompactJSON(v any) string { return marshal(v, "") }

func marshal(v any, indent string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	_ = enc.Encode(v) // cannot fail: texts, numbers, lists and objects of them
	return strings.TrimSuffix(b.String(), "\n")
}
