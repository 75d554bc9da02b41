package script

import (
	"strings"

	"bitbucket-oidc/internal/pattern"
)

// variable is the name of the variable in the expression with which text begins, $NAME or ${NAME}, and the length of the expression. The
// name is empty where the expression is not the whole value of a variable.
func variable(text string) (name string, length int) {
	if strings.HasPrefix(text, "${") {
		end := strings.IndexByte(text, '}')
		if end < 0 {
			return "", 2
		}
		inner := strings.TrimLeft(text[2:end], "#!")
		name = inner[:len(inner)-len(strings.TrimLeft(inner, nameChars))]
		rest := inner[len(name):]
		if strings.HasPrefix(text[2:], "#") || strings.HasPrefix(rest, "+") || strings.HasPrefix(rest, ":+") {
			name = "" // its length, or another word in its place
		}
		if strings.HasPrefix(rest, "%") || strings.HasPrefix(rest, "#") || few.MatchString(rest) {
			name = "" // a part of it
		}
		return name, end + 1
	}
	name = text[1 : len(text)-len(strings.TrimLeft(text[1:], nameChars))]
	return name, 1 + len(name)
}

// few matches a substring of fewer than 100 characters.
var few = pattern.New(`^: ?\d+:\d{1,2}$`)

// variables are those that a text of several lines names, such as a here-document.
func variables(text string) []string {
	var all []string
	for i := 0; i < len(text); i++ {
		if text[i] == '$' && (i == 0 || text[i-1] != '\\') {
			name, length := variable(text[i:])
			if name != "" {
				all = append(all, name)
			}
			i += length - 1
		}
	}
	return all
}

// windows are the variables that a word of a script for Windows names: %X% and $env:X.
func windows(text string) []string {
	var all []string
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "$env:")
		if !found {
			break
		}
		all = append(all, after[:len(after)-len(strings.TrimLeft(after, nameChars))])
		rest = after
	}
	parts := strings.Split(text, "%")
	for i := 1; i+1 < len(parts); i += 2 {
		if parts[i] != "" && strings.Trim(parts[i], nameChars) == "" {
			all = append(all, parts[i])
		}
	}
	return all
}
