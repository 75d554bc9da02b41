package packers

import (
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Where a pattern without a slash looks.
const (
	atTheTop = false // Docker
	anywhere = true  // as in a .gitignore
)

// ignores reports whether the lines of an ignore file keep the directory output out. A comment does not count. A line that begins with
// ! lets in again what the lines before it kept out.
func ignores(lines []string, output string, deep bool) bool {
	out := false
	for _, line := range lines {
		line = strings.TrimSpace(line)
		pattern, back := strings.CutPrefix(line, "!")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case names(pattern, output, deep):
			out = !back
		case back && below(pattern, output):
			out = false
		}
	}
	return out
}

// names reports whether a pattern fits the directory or a directory above it: then it fits everything in the directory.
func names(pattern, output string, deep bool) bool {
	pattern = strings.TrimPrefix(pattern, "./")
	rooted := strings.HasPrefix(pattern, "/")
	pattern = strings.TrimLeft(pattern, "/")
	for shorter := pattern; ; pattern = shorter {
		for _, suffix := range []string{"/", "/**", "/*"} {
			shorter = strings.TrimSuffix(shorter, suffix)
		}
		if shorter == pattern {
			break
		}
	}
	if rest, any := strings.CutPrefix(pattern, "**/"); any {
		pattern, rooted, deep = rest, false, true
	}
	if pattern == "*" || pattern == "**" {
		return true
	}
	deep = deep && !rooted && !strings.Contains(pattern, "/")
	for at := output; at != "."; at = path.Dir(at) {
		if fits(pattern, at) || deep && fits(pattern, path.Base(at)) {
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
	return strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(pattern, "./"), "/"), escaped(output)+"/")
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
		pattern, exclusion := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		whole := pattern == "**" || strings.HasSuffix(pattern, "/**") || strings.HasSuffix(pattern, "**/*")
		switch {
		case exclusion && whole && names(pattern, f.output, atTheTop):
			out = true
		case !exclusion && (names(pattern, f.output, atTheTop) || below(pattern, f.output)):
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
