package vaultrole

import (
	"encoding/json"
	"strconv"
	"strings"
)

// claim finds a claim of the token. A name that begins with a slash is a JSON pointer.
func (v *judgement) claim(name string) (any, bool) {
	return lookup(v.id.All, name, strings.HasPrefix(name, "/"))
}

// lookup finds a claim by its name, or by a JSON pointer (RFC 6901).
func lookup(claims map[string]any, name string, pointer bool) (any, bool) {
	var value any = claims
	path := []string{name}
	if pointer {
		path = strings.Split(strings.TrimPrefix(name, "/"), "/")
	}
	for _, part := range path {
		if pointer {
			part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		}
		switch holder := value.(type) {
		case map[string]any:
			value = holder[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(holder) {
				return nil, false
			}
			value = holder[i]
		default:
			return nil, false
		}
	}
	return value, value != nil
}

// items converts a value to a list: a single value is a list of one.
func items(value any) []any {
	if items, ok := value.([]any); ok {
		return items
	}
	return []any{value}
}

// isScalar reports whether Vault compares a value: a text, a boolean or a number.
func isScalar(value any) bool {
	switch value.(type) {
	case string, bool, json.Number:
		return true
	}
	return false
}

func isText(value any) bool {
	_, ok := value.(string)
	return ok
}

// texts are the texts among the values of a bound claim.
func texts(value any) []string {
	var all []string
	for _, item := range items(value) {
		if text, ok := item.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// shown formats a value for a message.
func shown(value any) string {
	var shown []string
	for _, item := range items(value) {
		data, _ := json.Marshal(item) // came from JSON
		shown = append(shown, string(data))
	}
	return strings.Join(shown, " or ")
}
