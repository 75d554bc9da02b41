// Package secret keeps tokens and keys out of everything that prints.
//
// A [Text] shows a placeholder under every fmt verb, in JSON and in slog; [Text.Reveal] is the only way to the
// value, so that a search for Reveal finds every use of a secret.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const placeholder = "[secret]"

// Text is a value that must not be printed. The zero Text is empty.
type Text struct {
	// A pointer, because fmt does not call Format on the unexported fields of another struct and would print a
	// plain string found there; of a pointer it prints an address.
	value *string
}

// New wraps value.
func New(value string) Text { return Text{&value} }

// Reveal returns the value itself.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// Format implements [fmt.Formatter] for every verb.
func (Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, placeholder) }

// MarshalText implements [encoding.TextMarshaler], and so JSON.
func (Text) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// LogValue implements [slog.LogValuer].
func (Text) LogValue() slog.Value { return slog.StringValue(placeholder) }
