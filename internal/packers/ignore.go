package packers

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A dialect is how a tool reads the lines of its ignore file.
type dialect struct {
	anywhere bool // a pattern without a slash fits in every folder
	whole    bool // a pattern fits paths one by one: only one that ends in / or /** fits what a folder holds
	within   bool // a line with ! lets in what lies in a folder that is kept out
}

// ignores reports whether the lines of an ignore file keep the directory output out. A comment does not count. A line that begins with
// ! lets in again what the lines before it kept out. White space at the beginning is part of a pattern, as in a .gitignore.
func (d dialect) ignores(lines []string, output string) bool {
	out := false
	for _, line := range lines {
		line = strings.TrimRight(line, " \t\r\n")
		pattern, back := strings.CutPrefix(line, "!")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case d.whole && !back && !holds(pattern):
		case names(pattern, output, d.anywhere):
			out = !back
		case back && (below(pattern, output) || d.within && d.finds(pattern)):
			out = false
		}
	}
	return out
}

// holds reports whether a pattern fits what the folders hold that it names.
func holds(pattern string) bool {
	return pattern == "*" || pattern == "**" || strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, "/**")
}

// finds reports whether a pattern that looks in every folder ends in a name of login's own files, or of its folders.
func (d dialect) finds(pattern string) bool {
	pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, "/**"), "/")
	last := path.Base(pattern)
	return (strings.HasPrefix(pattern, "**/") || d.anywhere && last == pattern) && slices.ContainsFunc([]string{
		".gen-0123456789abcdef", "aws", "credentials", "web-identity-token", "gcp", "credentials.json", "subject-token", "access-token", "id-token",
		"docker", "config.json", "vault", "okta", "oauth", "jfrog", "cloudsmith", "databricks", "pulumi", "token",
	}, func(name string) bool { return fits(last, name) })
}

// trimmed are lines without the white space at their ends.
func trimmed(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return lines
}

// cleaned are the lines of a .dockerignore as Docker reads them, where ./DIRECTORY/ and DIRECTORY are the same (moby/patternmatcher,
// ignorefile).
func cleaned(text string) []string {
	lines := trimmed(strings.TrimPrefix(text, "\ufeff"))
	for i, line := range lines {
		if pattern, back := strings.CutPrefix(line, "!"); back {
			lines[i] = "!" + path.Clean(strings.TrimSpace(pattern))
		} else if line != "" {
			lines[i] = path.Clean(line)
		}
	}
	return lines
}

// names reports whether a pattern fits the directory or a directory above it: then it fits everything in the directory. A pattern that
// is not clean fits nothing.
func names(pattern, output string, anywhere bool) bool {
	pattern, rooted := strings.CutPrefix(pattern, "/")
	if strings.HasPrefix(pattern, "./") || strings.HasPrefix(pattern, "/") || strings.Contains(pattern, "//") {
		return false
	}
	for shorter := pattern; ; pattern = shorter {
		for _, suffix := range []string{"/", "/**", "/*"} {
			shorter = strings.TrimSuffix(shorter, suffix)
		}
		if shorter == pattern {
			break
		}
	}
	if rest, any := strings.CutPrefix(pattern, "**/"); any {
		pattern, rooted, anywhere = rest, false, true
	}
	if pattern == "*" || pattern == "**" {
		return true
	}
	anywhere = anywhere && !rooted && !strings.Contains(pattern, "/")
	for at := output; at != "."; at = path.Dir(at) {
		if fits(pattern, at) || anywhere && fits(pattern, path.Base(at)) {
			return true
		}
	}
	return false
}

func fits(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// below reports whether a pattern begins with the directory, as !DIRECTORY/file does.
func below(pattern, output string) bool {
	return strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(pattern, "./"), "/"), escaped(output)+"/") // too much is better than too little
}

// escaped is a path as a pattern that fits this path only.
func escaped(output string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(output)
	if strings.HasPrefix(escaped, "#") || strings.HasPrefix(escaped, "!") {
		return `\` + escaped
	}
	return escaped
}

// serverless packs the folder of its file, without .git, and leaves out what package.patterns names with a ! (Serverless Framework,
// "Packaging"). Its patterns fit files: a folder needs /**.
func (f folder) serverless() (Leak, bool) {
	because, found := f.has("serverless.yml", "serverless.yaml", "serverless.json") // JSON is YAML too
	if !found || inGit(f.output) {
		return Leak{}, false
	}
	leak := Leak{Tool: "serverless", Because: because, Ignore: because, Under: "package.patterns", Line: "- '!" + strings.ReplaceAll(f.output, "'", "''") + "/**'"}
	if strings.HasSuffix(because, ".json") {
		leak.Line = strconv.Quote("!" + f.output + "/**")
	}
	text, _ := f.read(because)
	out := false
	for _, pattern := range patterns(text) {
		pattern, exclusion := strings.CutPrefix(pattern, "!")
		if strings.HasPrefix(pattern, "/") {
			continue // no file that is packed begins so
		}
		pattern = strings.TrimPrefix(pattern, "./")
		whole := pattern == "**" || strings.HasSuffix(pattern, "/**") || strings.HasSuffix(pattern, "**/*")
		switch {
		case exclusion && whole && names(pattern, f.output, false):
			out = true
		case !exclusion && (names(pattern, f.output, false) || below(pattern, f.output) || dialect{}.finds(pattern)):
			out = false
		}
	}
	return leak, !out
}

// patterns are the items of package.patterns. It reads nodes: decoding a small file into maps and structs can take hours.
func patterns(text string) []string {
	var root yaml.Node
	if yaml.Unmarshal([]byte(text), &root) != nil || len(root.Content) != 1 {
		return nil
	}
	list := member(member(root.Content[0], "package"), "patterns")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	var all []string
	for _, item := range list.Content {
		if item.Kind == yaml.ScalarNode {
			all = append(all, item.Value)
		}
	}
	return all
}

func member(node *yaml.Node, name string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			if value := node.Content[i+1]; value.Kind != yaml.AliasNode {
				return value
			}
			return node.Content[i+1].Alias
		}
	}
	return nil
}
