// Package shell writes words and documents for a POSIX shell.
package shell

import "strings"

// Word is s as one word of a shell, whatever s holds. What is not known to be harmless is quoted.
func Word(s string) string {
	special := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:,@%+", r)
	}
	switch {
	case s != "" && !strings.ContainsFunc(s, special):
		return s
	case strings.Contains(s, "'") && !strings.ContainsAny(s, "\"$`\\!"): // CEL has single quotes
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Document is a command with a document on its standard input.
func Document(command, document string) string {
	return command + " <<'END'\n" + document + "\nEND"
}
