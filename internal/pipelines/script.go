package pipelines

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// An Item is an entry of a script: commands, a pipe, or an agent.
type Item struct {
	Place
	After bool   // whether it is of after-script
	Text  string // the commands
	Spans bool   // whether lines of Text may stand on several lines of the file: it is folded, or quoted with escapes
	Last  int    // the last line that an item which Spans stands on
	lines []int  // of the file, for each line of Text; nil if Text is on the line of the item
	Pipe  *Pipe
	Agent bool
}

// On reports whether the item stands on a line of the file.
func (i Item) On(line int) bool {
	last := max(i.Line, i.Last)
	if len(i.lines) > 0 {
		last = max(last, i.lines[len(i.lines)-1])
	}
	if i.Pipe != nil {
		for _, v := range i.Pipe.Variables {
			last = max(last, v.Line)
		}
	}
	return i.Line <= line && line <= last
}

// LineOf is the line of the file that has the line of Text with this index, from 0.
func (i Item) LineOf(index int) int {
	if index < len(i.lines) {
		return i.lines[index]
	}
	return i.Line
}

// A Pipe is a call of a pipe.
type Pipe struct {
	Place
	Name      string // such as atlassian/aws-s3-deploy:2.0.0
	Variables []PipeVariable
}

// A PipeVariable is a variable of a pipe. Several values are a list.
type PipeVariable struct {
	Place
	Name   string
	Values []string
}

// Value is the variable's value, or empty.
func (p *Pipe) Value(name string) (PipeVariable, string) {
	for _, v := range p.Variables {
		if v.Name == name {
			return v, strings.Join(v.Values, " ")
		}
	}
	return PipeVariable{}, ""
}

// script reads the entries of a script.
func (w *walk) script(field Field, after bool, path string) []Item {
	if field.Key == nil {
		return nil
	}
	entries := w.items(field.Value)
	if value := target(field.Value); value.Kind == yaml.ScalarNode {
		entries = []*yaml.Node{value}
	}
	var all []Item
	for _, entry := range entries {
		node := target(entry)
		item := Item{Place: placeOf(node), After: after}
		switch node.Kind {
		case yaml.ScalarNode:
			if known, ok := w.parsed[node]; ok {
				item.Text, item.lines, item.Spans, item.Last = known.Text, known.lines, known.Spans, known.Last
				break
			}
			item.Text, item.lines = node.Value, linesOf(node, w.source)
			item.Spans = node.Style&yaml.LiteralStyle == 0 && node.Line <= len(w.source) && !strings.Contains(w.source[node.Line-1], node.Value)
			item.Last = w.lastLine(node)
			w.parsed[node] = item
		case yaml.MappingNode:
			fields := w.fields(node)
			item.Agent = fields.has("agent")
			if pipe := fields.get("pipe"); pipe.Key != nil {
				item.Pipe = w.pipe(pipe, fields)
			} else if !item.Agent {
				w.fault(Refused, item.Place, path, "The script has a mapping that is no pipe, so Bitbucket refuses the file: a command with a colon and a space needs quotes.")
			}
		}
		all = append(all, item)
	}
	return all
}

// lastLine is the last line on which a scalar can stand: the lines below its first one are indented further.
func (w *walk) lastLine(node *yaml.Node) int {
	if node.Line > len(w.source) {
		return node.Line
	}
	indent := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	margin, last := indent(w.source[node.Line-1]), node.Line
	for n := node.Line; n < len(w.source) && node.Style&yaml.LiteralStyle == 0; n++ {
		if strings.TrimSpace(w.source[n]) == "" {
			continue
		}
		if indent(w.source[n]) <= margin {
			break
		}
		last = n + 1
	}
	return last
}

func (w *walk) pipe(field Field, fields *Fields) *Pipe {
	p := &Pipe{Place: field.Place(), Name: text(field.Value)}
	for _, name := range []string{"variables", "environment"} { // Bitbucket takes both
		variables := w.fields(fields.get(name).Value)
		if variables == nil {
			continue
		}
		for _, v := range variables.all {
			p.Variables = append(p.Variables, PipeVariable{v.Place(), v.Key.Value, w.texts(v.Value)})
		}
	}
	return p
}

// linesOf is the file's line for each line of a scalar. A literal's lines are the lines below its indicator. Of a folded or a
// plain scalar of several lines they are found by how they begin.
func linesOf(node *yaml.Node, source []string) []int {
	lines := strings.Split(node.Value, "\n")
	if len(lines) == 1 && node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		return nil
	}
	all := make([]int, len(lines))
	if node.Style&yaml.LiteralStyle != 0 {
		for i := range lines {
			all[i] = node.Line + 1 + i
		}
		return all
	}
	at := node.Line
	for i, line := range lines {
		all[i] = at
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		for n := at; n <= min(at+1+len(lines)*2, len(source)); n++ {
			text := strings.Trim(strings.TrimSpace(source[n-1]), `"'`)
			if text != "" && (strings.HasPrefix(line, text) || strings.HasPrefix(text, line)) {
				all[i], at = n, n
				break
			}
		}
	}
	return all
}
