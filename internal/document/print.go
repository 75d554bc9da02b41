package document

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Line is a member of a JSON object on one line.
func Line(name string, value any) string {
	return Compact(name) + ": " + Compact(value)
}

// Compact is JSON on one line, with a blank after each comma and colon.
func Compact(value any) string {
	var b strings.Builder
	previous := ""
	for line := range strings.Lines(Indented(value)) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(previous, ",") {
			b.WriteByte(' ')
		}
		b.WriteString(line)
		previous = line
	}
	return b.String()
}

// Tight is JSON on one line without blanks.
func Tight(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // see Indented
	return strings.TrimSuffix(b.String(), "\n")
}

// Indented is JSON on several lines. The value consists of texts, numbers, lists and objects.
func Indented(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // cannot fail for such values
	return strings.TrimSuffix(b.String(), "\n")
}
