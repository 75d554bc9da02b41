package strictyaml

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// WithCommas is v with the whole text of the members that have these names. In {why: it is removed, SEC-88} YAML takes SEC-88 for a
// member of its own, without a value; people mean the rest of the text. A word with a colon behind it is a member.
func (v Value) WithCommas(names ...string) Value {
	if !v.Present() || v.node.Kind != yaml.MappingNode || v.node.Style&yaml.FlowStyle == 0 {
		return v
	}
	whole := *v.node
	whole.Content = nil
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, value := v.node.Content[i], v.node.Content[i+1]
		if n := len(whole.Content); n > 0 && slices.Contains(names, whole.Content[n-2].Value) && plain(whole.Content[n-1]) && v.file.isWord(key, value) {
			longer := *whole.Content[n-1]
			longer.Tag, longer.Value = "!!str", longer.Value+", "+key.Value
			whole.Content[n-1] = &longer
			continue
		}
		whole.Content = append(whole.Content, key, value)
	}
	return Value{v.file, &whole, v.path}
}

// plain reports whether a node is a text without quotes.
func plain(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag != "!!null" && n.Style == 0 && n.Anchor == ""
}

// isWord reports whether a member of a mapping is a text alone, with nothing but space up to the next comma or brace.
func (f *File) isWord(key, value *yaml.Node) bool {
	if !plain(key) || value.Kind != yaml.ScalarNode || value.Tag != "!!null" || value.Value != "" || key.Line > len(f.lines) {
		return false
	}
	rest := []rune(string(f.lines[key.Line-1]))
	rest = rest[min(key.Column-1, len(rest)):]
	behind, found := strings.CutPrefix(string(rest), key.Value)
	behind = strings.TrimLeft(behind, " \t")
	return found && behind != "" && strings.ContainsRune(",}", rune(behind[0]))
}
