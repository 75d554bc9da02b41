package pipelines

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Field is a member of a mapping. If it comes from a merge, Key is in the anchor.
type Field struct{ Key, Value *yaml.Node }

// Place is the position of the key.
func (f Field) Place() Place { return placeOf(f.Key) }

// Fields are the members of a mapping in their order, with the members of the mappings that it merges.
type Fields struct {
	all   []Field
	index map[string]int
	at    Place
}

// get is the member of that name. Its Value is nil if there is none.
func (f *Fields) get(name string) Field {
	if f == nil {
		return Field{}
	}
	if i, ok := f.index[name]; ok {
		return f.all[i]
	}
	return Field{}
}

func (f *Fields) has(names ...string) bool {
	for _, name := range names {
		if f.get(name).Key != nil {
			return true
		}
	}
	return false
}

// add adds a member. If a key occurs twice, the later one counts.
func (f *Fields) add(field Field, over bool) {
	name := field.Key.Value
	if i, ok := f.index[name]; !ok {
		f.index[name] = len(f.all)
		f.all = append(f.all, field)
	} else if over {
		f.all[i] = field
	}
}

// fields reads a mapping, or an alias of one. Members of its own win over merged ones, and earlier merges over later ones. It
// returns nil if the node is no mapping.
func (w *walk) fields(node *yaml.Node) *Fields {
	node = target(node)
	if node == nil || node.Kind != yaml.MappingNode || w.spent(node) {
		return nil
	}
	if known, ok := w.seen[node]; ok {
		if known == nil {
			w.fail(placeOf(node), "an anchor contains itself")
		}
		return known
	}
	w.seen[node] = nil // while it is read
	f := &Fields{index: map[string]int{}, at: placeOf(node)}
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content) && !w.spent(node); i += 2 {
		key, value := target(node.Content[i]), node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			w.fail(placeOf(key), "a key that is no text: a placeholder of a template has no place here")
			return nil
		case key.Tag != "!!merge":
			f.add(Field{key, value}, true)
		case target(value).Kind == yaml.SequenceNode:
			merged = append(merged, target(value).Content...)
		default:
			merged = append(merged, value)
		}
	}
	for _, from := range merged {
		more := w.fields(from)
		if more == nil {
			w.fail(placeOf(from), "a merge of what is no mapping")
			return nil
		}
		for _, field := range more.all {
			if w.spent(node) {
				break
			}
			f.add(field, false)
		}
	}
	w.seen[node] = f
	return f
}

// spent takes one from the budget, and reports whether there was none left.
func (w *walk) spent(at *yaml.Node) bool {
	if w.nodes--; w.nodes <= 0 {
		w.fail(placeOf(at), "its anchors make more than %d nodes of it", maxNodes)
	}
	return w.err != nil
}

// fail keeps the first thing that makes the file unreadable.
func (w *walk) fail(at Place, format string, args ...any) {
	if w.err == nil {
		w.err = unreadable(at, format, args...)
	}
}

// items are the entries of a list, with the entries of lists inside it: a list that is shared by an anchor is written as one
// entry of another.
func (w *walk) items(node *yaml.Node) []*yaml.Node {
	list := target(node)
	if list == nil || list.Kind != yaml.SequenceNode || w.spent(list) {
		return nil
	}
	if w.inside[list] {
		w.fail(placeOf(list), "an anchor contains itself")
		return nil
	}
	w.inside[list] = true
	defer delete(w.inside, list)
	var all []*yaml.Node
	for _, item := range list.Content {
		if w.spent(item) {
			return nil
		}
		if inner := target(item); inner.Kind == yaml.SequenceNode {
			all = append(all, w.items(inner)...)
			continue
		}
		all = append(all, item)
	}
	return all
}

// target is the node that an alias refers to, or the node itself.
func target(node *yaml.Node) *yaml.Node {
	for hops := 0; node != nil && node.Kind == yaml.AliasNode && hops < 8; hops++ {
		node = node.Alias
	}
	return node
}

func placeOf(node *yaml.Node) Place {
	if node == nil {
		return Place{}
	}
	return Place{node.Line, node.Column}
}

// text is a scalar's value, or empty.
func text(node *yaml.Node) string {
	if node = target(node); node == nil || node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return ""
	}
	return node.Value
}

// texts are the values of a list of scalars, or of a single one.
func (w *walk) texts(node *yaml.Node) []string {
	if value := text(node); value != "" {
		return []string{value}
	}
	var all []string
	for _, item := range w.items(node) {
		if value := text(item); value != "" {
			all = append(all, value)
		}
	}
	return all
}

func scalar(node *yaml.Node, into any) bool {
	node = target(node)
	return node != nil && node.Kind == yaml.ScalarNode && node.Decode(into) == nil
}

// alternatives are the patterns that a pattern with {a,b} means. Braces may be inside braces.
func alternatives(pattern string) []string {
	const most = 50
	all := []string{pattern}
	for i := 0; i < len(all); {
		begin, end, parts := braces(all[i])
		if end == 0 {
			i++
			continue
		}
		if len(all)+len(parts) > most {
			return []string{pattern}
		}
		for k, part := range parts {
			parts[k] = all[i][:begin] + strings.TrimSpace(part) + all[i][end:]
		}
		all = slices.Replace(all, i, i+1, parts...)
	}
	return all
}

// braces finds the first pair of braces of a pattern, and what the commas between them separate. The end is behind the pair, and 0
// where there is none.
func braces(pattern string) (begin, end int, parts []string) {
	depth, part := 0, 0
	for i, c := range pattern {
		switch {
		case c == '{':
			if depth++; depth == 1 {
				begin, part, parts = i, i+1, nil
			}
		case depth > 0 && c == '}', depth == 1 && c == ',':
			if depth == 1 {
				parts, part = append(parts, pattern[part:i]), i+1
			}
			if c == '}' {
				depth--
			}
			if depth == 0 {
				return begin, i + 1, parts
			}
		}
	}
	return 0, 0, nil
}
