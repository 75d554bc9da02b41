package cli

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/config"
)

// width is how wide help is: what a CI log shows without breaking lines.
const width = 100

// DescribeVariables lists variables for a command's help, with the text of the documentation: the variables with these names, or all.
func DescribeVariables(groups []config.Group, names ...string) string {
	var lines []string
	for _, g := range groups {
		title := g.Title
		for _, v := range g.Variables {
			if len(names) > 0 && !slices.Contains(names, v.Name) {
				continue
			}
			if title != "" {
				lines = append(lines, "", title+":")
				title = ""
			}
			name := "  " + v.Name
			switch {
			case v.Main && g.Backend:
				name += " (required for " + g.Name + ")"
			case v.Main:
				name += " (required)"
			}
			lines = append(append(lines, name), wrap(6, strings.ReplaceAll(v.Documentation(), "`", ""))...)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// wrap breaks a text into lines, each indented by so many columns.
func wrap(indent int, text string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case indent+len([]rune(line))+1+len([]rune(word)) > width:
			lines = append(lines, strings.Repeat(" ", indent)+line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, strings.Repeat(" ", indent)+line)
}
