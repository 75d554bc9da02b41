// Package strictyaml reads the YAML files that people write for this program by hand: access maps, guardrails, lists of accepted
// findings. It refuses what a reader of the file could misread, names every problem with its line and column, and goes on after a
// problem, so that one run reports them all.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds what is looked at: aliases can make a small file endless.
const maxNodes = 200_000

// A Problem is what is wrong at a place of the file.
type Problem struct {
	Line, Column int
	Path         string // such as grants[2].who; empty for the whole file
	Text         string // never a value of the file that is longer than a name
}

func (p Problem) Error() string {
	place := fmt.Sprintf("line %d, column %d: ", p.Line, p.Column)
	if p.Path == "" {
		return place + p.Text
	}
	return place + p.Path + ": " + p.Text
}

// A File is a document that was read. Problems are added while its values are read.
type File struct {
	problems []Problem
	budget   int
	lines    [][]byte
	Root     Value
}

// Read reads data as one YAML document of at most limit bytes. A file that is not YAML is an error; everything else is reported by
// [File.Problems].
func Read(data []byte, limit int) (*File, error) {
	switch {
	case len(data) > limit:
		return nil, fmt.Errorf("larger than %d KiB", limit>>10)
	case !utf8.Valid(data):
		return nil, errors.New("not UTF-8")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("empty")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	if err := dec.Decode(&root); err != nil {
		return nil, notYAML(err, data)
	}
	f := &File{budget: maxNodes, lines: bytes.Split(bytes.TrimPrefix(data, []byte("\ufeff")), []byte("\n"))}
	if len(root.Content) != 1 {
		return nil, errors.New("empty")
	}
	f.Root = f.value(root.Content[0], "")
	if err := dec.Decode(&second); err == nil {
		f.report(&second, "", "a second document: only one is allowed")
	}
	return f, nil
}

// Problems returns what is wrong so far, in the order of the file.
func (f *File) Problems() []Problem {
	slices.SortStableFunc(f.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return f.problems
}

func (f *File) report(n *yaml.Node, path, text string) {
	p := Problem{Line: n.Line, Column: n.Column, Path: path, Text: text}
	if !slices.Contains(f.problems, p) { // a value may be read twice
		f.problems = append(f.problems, p)
	}
}

// A Value is a node of the file. The zero Value stands for a value that the file does not have: it holds nothing and reports nothing.
type Value struct {
	file *File
	node *yaml.Node
	path string
}

// value resolves aliases.
func (f *File) value(n *yaml.Node, path string) Value {
	if f.budget--; f.budget < 0 {
		if f.budget == -1 {
			f.report(n, path, "the file has too many values")
		}
		return Value{}
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		f.report(n, path, "begins with !, which is a tag in YAML: put the text in quotes")
		text := *n
		text.Kind, text.Tag, text.Value = yaml.ScalarNode, "!!str", strings.TrimSpace(n.Tag+" "+n.Value) // no other problem follows
		n = &text
	}
	return Value{f, n, path}
}

// Present reports whether the file has the value. A null counts as absent.
func (v Value) Present() bool { return v.node != nil && v.node.Tag != "!!null" }

// Line is where the value begins, from 1.
func (v Value) Line() int {
	if v.node == nil {
		return 0
	}
	return v.node.Line
}

// Column is where the value begins, in characters from 1.
func (v Value) Column() int {
	if v.node == nil {
		return 0
	}
	return v.node.Column
}

// Path names the value in the file, such as grants[2].who.
func (v Value) Path() string { return v.path }

// Problem reports what is wrong with the value.
func (v Value) Problem(format string, args ...any) {
	if v.node != nil {
		v.file.report(v.node, v.path, fmt.Sprintf(format, args...))
	}
}

// An Entry is a member of a mapping.
type Entry struct {
	Key          string
	Line, Column int // of the key
	Value        Value
}

// Entries returns the members of a mapping in which the file may choose the names. A name that is there twice is a problem: readers
// differ in which of the two counts.
func (v Value) Entries() []Entry {
	if !v.Present() {
		return nil
	}
	if v.node.Kind != yaml.MappingNode {
		v.Problem("expected a mapping")
		return nil
	}
	var all []Entry
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			v.file.report(key, v.path, "expected a name: merges and nested keys are not allowed here")
			continue
		case slices.ContainsFunc(all, func(e Entry) bool { return e.Key == key.Value }):
			v.file.report(key, v.path, printable(key.Value)+" stands twice")
			continue
		}
		all = append(all, Entry{key.Value, key.Line, key.Column, v.file.value(v.node.Content[i+1], join(v.path, key.Value))})
	}
	return all
}

// KeyOf is where a mapping has a key; zero where it does not.
func (v Value) KeyOf(name string) (line, column int) {
	if !v.Present() || v.node.Kind != yaml.MappingNode {
		return 0, 0
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		if key := v.node.Content[i]; key.Value == name {
			return key.Line, key.Column
		}
	}
	return 0, 0
}

// Fields returns the members of a mapping with these names. Each other name is a problem.
func (v Value) Fields(known ...string) func(name string) Value {
	found := map[string]Value{}
	for _, e := range v.Entries() {
		if !slices.Contains(known, e.Key) {
			v.file.problems = append(v.file.problems, Problem{
				e.Line, e.Column, v.path, "unknown key " + printable(e.Key) + ": expected " + strings.Join(known, ", "),
			})
			continue
		}
		found[e.Key] = e.Value
	}
	return func(name string) Value { return found[name] }
}

// Required is v. If the file does not have it, that is a problem of parent, and the only one.
func (v Value) Required(parent Value, name string) Value {
	if !v.Present() {
		parent.Problem("%s is missing", name)
		return Value{}
	}
	return v
}

// Items returns the items of a list.
func (v Value) Items() []Value {
	if !v.Present() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.Problem("expected a list")
		return nil
	}
	all := make([]Value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		all = append(all, v.file.value(n, fmt.Sprintf("%s[%d]", v.path, i)))
	}
	return all
}

// Text returns a scalar as it stands in the file, so that an account id keeps its zeros.
func (v Value) Text() string {
	if !v.Present() {
		return ""
	}
	if v.node.Kind != yaml.ScalarNode {
		v.Problem("expected a text")
		return ""
	}
	return v.node.Value
}

// Scalar is the text of a scalar, and empty for everything else. It reports nothing.
func (v Value) Scalar() string {
	if !v.Present() || v.node.Kind != yaml.ScalarNode {
		return ""
	}
	return v.node.Value
}

// IsEmpty reports whether the value is a list with no item.
func (v Value) IsEmpty() bool {
	return v.Present() && v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0
}

// Texts returns a list of scalars, none of which is blank.
func (v Value) Texts() []string {
	var all []string
	for _, item := range v.Items() {
		text := item.Text()
		if strings.TrimSpace(text) == "" {
			item.Problem("expected a text")
		}
		all = append(all, text)
	}
	return all
}

// Whole returns a whole number.
func (v Value) Whole() int {
	text := v.Text()
	n, err := strconv.Atoi(text)
	if text != "" && (err != nil || v.node.Tag != "!!int") {
		v.Problem("expected a whole number")
		return 0
	}
	return n
}

// Date returns the first moment, in UTC, of a day such as 2027-03-31. A key without a day is a problem: it would mean no end.
func (v Value) Date() time.Time {
	day, err := time.Parse(time.DateOnly, v.Text())
	if err != nil {
		v.Problem("expected a date such as 2027-03-31")
		return time.Time{}
	}
	return day
}

// Duration returns a time such as 45m or 1h30m, in whole seconds: no cloud counts in less. It is zero where the file has no such key.
func (v Value) Duration() time.Duration {
	if v.node == nil {
		return 0
	}
	d, err := time.ParseDuration(v.Text())
	if err != nil || d <= 0 || d%time.Second != 0 {
		v.Problem("expected a duration such as 45m or 1h30m")
		return 0
	}
	return d
}

// Any returns the value as JSON would have it: maps with text keys, lists, texts, numbers, booleans, nil.
func (v Value) Any() any {
	switch {
	case !v.Present():
		return nil
	case v.node.Kind == yaml.MappingNode:
		all := map[string]any{}
		for _, e := range v.Entries() {
			all[e.Key] = e.Value.Any()
		}
		return all
	case v.node.Kind == yaml.SequenceNode:
		all := []any{}
		for _, item := range v.Items() {
			all = append(all, item.Any())
		}
		return all
	}
	return v.scalar()
}

func (v Value) scalar() any {
	switch v.node.Tag {
	case "!!int":
		if n, err := strconv.ParseInt(v.node.Value, 0, 64); err == nil {
			return n
		}
	case "!!float":
		if x, err := strconv.ParseFloat(v.node.Value, 64); err == nil {
			return x
		}
	case "!!bool":
		return v.node.Value == "true" || v.node.Value == "True" || v.node.Value == "TRUE"
	}
	return v.node.Value
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// printable is a name of the file for a message: short, and without control characters.
func printable(s string) string {
	const longest = 40
	if utf8.RuneCountInString(s) > longest {
		s = string([]rune(s)[:longest]) + "…"
	}
	return strconv.Quote(s)
}
