package bitbucket

import (
	"strings"

	"bitbucket-oidc/internal/oidc"
)

// UUIDForm is the form of a UUID in a subject, with an x for each hexadecimal digit.
const UUIDForm = "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}"

// IsBraced reports whether a text is one UUID in braces.
func IsBraced(s string) bool {
	return len(s) == len(UUIDForm) && s[0] == '{' && s[len(s)-1] == '}' && IsUUID(s[1:len(s)-1])
}

// StepUUID is the UUID of the step without braces: the claim, or else the last part of the subject.
func StepUUID(c oidc.Claims) string {
	step := c.StepUUID
	if i := strings.LastIndex(c.Subject, ":"); step == "" && i >= 0 {
		step = c.Subject[i+1:]
	}
	return Unbraced(step)
}

// A Span is the place of a UUID in a text, in bytes.
type Span struct {
	Start, End int  // without the braces
	Braces     bool // whether the UUID is in braces
}

// UUIDs finds the UUIDs in s.
func UUIDs(s string) []Span {
	var all []Span
	const length = 36
	for i := 0; i+length <= len(s); i++ {
		if !IsUUID(s[i : i+length]) {
			continue
		}
		span := Span{Start: i, End: i + length}
		span.Braces = i > 0 && s[i-1] == '{' && span.End < len(s) && s[span.End] == '}'
		all = append(all, span)
		i = span.End - 1
	}
	return all
}

// IsUUID reports whether a text is one UUID without braces.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])) {
			return false
		}
	}
	return true
}

// Unbraced is a text without its braces.
func Unbraced(s string) string { return strings.NewReplacer("{", "", "}", "").Replace(s) }

// Braced is a UUID in the form of Bitbucket's claims: in braces and in lower case.
func Braced(uuid string) string {
	if uuid == "" {
		return ""
	}
	return "{" + strings.ToLower(strings.Trim(uuid, "{}")) + "}"
}
