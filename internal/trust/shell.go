package trust

import "strings"

// ShellWord is s as one word of a shell. Commands are printed to be pasted, and what claims and files hold may be anything.
func ShellWord(s string) string {
	special := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:,@", r)
	}
	switch {
	case s != "" && !strings.ContainsFunc(s, special):
		return s
	case strings.Contains(s, "'") && !strings.ContainsAny(s, "\"$`\\!"): // CEL has single quotes
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
