package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxList bounds a list in array form.
const maxList = 1000

// form describes a value: how long it is and what it is made of.
func form(value string) string {
	var letters, digits, spaces, others bool
	count := 0
	for _, r := range value {
		count++
		switch {
		case unicode.IsLetter(r):
			letters = true
		case unicode.IsDigit(r):
			digits = true
		case unicode.IsSpace(r):
			spaces = true
		default:
			others = true
		}
	}
	var of []string
	for _, kind := range []struct {
		has  bool
		name string
	}{{letters, "letters"}, {digits, "digits"}, {spaces, "spaces"}, {others, "other signs"}} {
		if kind.has {
			of = append(of, kind.name)
		}
	}
	if count == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters of %s", count, strings.Join(of, " and "))
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, errors.New("not a boolean")
}

const expectedBool = "true, false, yes, no, on, off, 1 or 0"

// ParseDuration reads Go's form or whole seconds.
func ParseDuration(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("not a duration")
	}
	return d, nil
}

const expectedDuration = "a duration such as 45m or 1h30m, or whole seconds such as 3600"

// short drops the zero units that Go prints at a duration's end.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// Unique drops repeated items.
func Unique(items []string) []string {
	var first []string
	for _, item := range items {
		if !slices.Contains(first, item) {
			first = append(first, item)
		}
	}
	return first
}

// split cuts a string into items: at line breaks, or at commas if it has no line break.
func split(s string) []string {
	separators := ","
	if strings.ContainsAny(s, "\r\n") {
		separators = "\r\n"
	}
	var items []string
	for item := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// isReference reports whether s is exactly $NAME or ${NAME}.
func isReference(s string) bool {
	return strings.HasPrefix(s, "$") && regexp.MustCompile(`^\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})$`).MatchString(s)
}

// isQuoted reports whether s stands in quotes, straight or as word processors make them.
func isQuoted(s string) bool {
	first, size := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if len(s) < 2*size {
		return false
	}
	for _, pair := range []string{`""`, `''`, "``", "“”", "‘’", "„“", "«»"} {
		if quotes := []rune(pair); first == quotes[0] && last == quotes[1] {
			return true
		}
	}
	return false
}

// pair is an item name=value of a list whose values are encoded as in a URL (OpenTelemetry specification, "Specifying headers"). It reports
// whether the item is one, with a value on one line.
func pair(item string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(item, "=")
	value, err := url.PathUnescape(strings.TrimSpace(value))
	name = strings.TrimSpace(name)
	return name, value, ok && name != "" && err == nil && !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f })
}
