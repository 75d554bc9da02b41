package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a document nests: the clouds' tools print about ten levels. maxNodes bounds how many values a document has: the
// 5,000 roles of an account, the most that AWS grants, have half as many.
const (
	maxDepth = 100
	maxNodes = 500_000
)

// A Kind is a kind of JSON value. The zero Kind means that there is no value.
type Kind byte

// The kinds.
const (
	Null Kind = iota + 1
	Bool
	Number
	String
	List
	Object
)

// String is the name of the kind.
func (k Kind) String() string {
	return [...]string{"nothing", "null", "bool", "number", "string", "list", "object"}[k]
}

// A Node is a JSON value with its place.
type Node struct {
	Kind       Kind
	Start, End int // in bytes
	Members    []Member
	Items      []*Node
	Text       string // the text of a string; a number or a boolean as it is written
}

// A Member is a name and a value of an object.
type Member struct {
	Name  string
	Start int // of the name, in bytes
	Value *Node
}

// Parse reads one JSON object. It refuses an object that has a name twice: readers differ in which of the two they take, so no judgement
// would be certain. Errors name the line and never quote a value.
func Parse(data []byte) (*Node, error) {
	if err := readable(data); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return nil, errors.New("it is not a JSON object")
	}
	r := newReader(data, 0)
	root, err := r.value(0)
	if err == nil {
		if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
			err = r.wrong("more after the end of the JSON object")
		}
	}
	return root, err
}

// readable refuses data that is not UTF-8 text.
func readable(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return errors.New("it is UTF-16: save it as UTF-8")
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return errors.New("it is compressed with gzip: unpack it")
	case !utf8.Valid(data):
		return errors.New("it is not text")
	}
	return nil
}

// ParseAll reads the JSON values of a file, objects and lists. Each value begins on a line of its own. It is as strict as [Parse]. Where
// each value is one line, the lines for which skip returns true are not read; skip may be nil.
func ParseAll(data []byte, skip func(value []byte) bool) ([]*Node, error) {
	if err := readable(data); err != nil {
		return nil, err
	}
	start := len(data) - len(bytes.TrimLeft(data, blank))
	if start == len(data) || data[start] != '{' && data[start] != '[' {
		return nil, errors.New("it is not a JSON object or list")
	}
	if line, rest, many := bytes.Cut(data[start:], []byte("\n")); !many || len(bytes.TrimSpace(rest)) == 0 || !json.Valid(line) {
		return newReader(data, 0).values()
	}
	var all []*Node
	nodes := 0
	for at := start; at < len(data); {
		line, _, _ := bytes.Cut(data[at:], []byte("\n"))
		if len(bytes.TrimSpace(line)) > 0 && (skip == nil || !skip(line)) {
			r := newReader(data[:at+len(line)], at)
			r.nodes = nodes
			root, err := r.value(0)
			if err == nil {
				if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
					err = r.wrong("more after the end of the JSON value")
				}
			}
			if err != nil {
				return nil, err
			}
			all, nodes = append(all, root), r.nodes
		}
		at += len(line) + 1
	}
	return all, nil
}

// values reads values until the end of the data, such as the pages of a list that were written one after the other.
func (r *reader) values() ([]*Node, error) {
	var all []*Node
	for {
		root, err := r.value(0)
		if err != nil {
			return nil, err
		}
		all = append(all, root)
		rest := r.data[r.offset():]
		gap := len(rest) - len(bytes.TrimLeft(rest, blank))
		switch {
		case gap == len(rest):
			return all, nil
		case !bytes.Contains(rest[:gap], []byte("\n")) || rest[gap] != '{' && rest[gap] != '[':
			return nil, r.wrong("more after the end of the JSON value")
		}
	}
}

const blank = " \t\r\n"

type reader struct {
	dec   *json.Decoder
	data  []byte
	from  int // the offset at which the decoder began
	nodes int // the number of values that were read
}

func newReader(data []byte, from int) *reader {
	r := &reader{dec: json.NewDecoder(bytes.NewReader(data[from:])), data: data, from: from}
	r.dec.UseNumber()
	return r
}

// offset is the place of the reader in the file, in bytes.
func (r *reader) offset() int { return r.from + int(r.dec.InputOffset()) }

// wrong is an error that names the line of the reader.
func (r *reader) wrong(text string) error {
	return fmt.Errorf("line %d: %s", 1+bytes.Count(r.data[:r.offset()], []byte("\n")), text)
}

// value reads the next value.
func (r *reader) value(depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, r.wrong(fmt.Sprintf("nested deeper than %d levels", maxDepth))
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, r.wrong(fmt.Sprintf("more than %d values", maxNodes))
	}
	n := &Node{Start: r.next()}
	token, err := r.dec.Token()
	if err != nil {
		return nil, r.wrong("not JSON")
	}
	switch token := token.(type) {
	case string:
		n.Kind, n.Text = String, token
	case json.Number:
		n.Kind, n.Text = Number, token.String()
	case bool:
		n.Kind, n.Text = Bool, strconv.FormatBool(token)
	case json.Delim:
		if token == '[' {
			n.Kind, err = List, r.items(n, depth+1)
		} else {
			n.Kind, err = Object, r.members(n, depth+1)
		}
		if err != nil {
			return nil, err
		}
		if _, err := r.dec.Token(); err != nil { // the closing bracket
			return nil, r.wrong("not JSON")
		}
	default:
		n.Kind = Null
	}
	n.End = r.offset()
	return n, nil
}

func (r *reader) items(n *Node, depth int) error {
	for r.dec.More() {
		item, err := r.value(depth)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	return nil
}

func (r *reader) members(n *Node, depth int) error {
	seen := map[string]bool{}
	for r.dec.More() {
		start := r.next()
		token, err := r.dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return r.wrong("not JSON")
		}
		if seen[name] {
			return r.wrong(strconv.Quote(name) + " stands twice in one object")
		}
		seen[name] = true
		value, err := r.value(depth)
		if err != nil {
			return err
		}
		n.Members = append(n.Members, Member{name, start, value})
	}
	return nil
}

// next is the place of the next token.
func (r *reader) next() int {
	offset := r.offset()
	for offset < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[offset]) >= 0 {
		offset++
	}
	return offset
}

// Get is a member of an object, or nil.
func (n *Node) Get(name string) *Node {
	if n != nil {
		for _, m := range n.Members {
			if m.Name == name {
				return m.Value
			}
		}
	}
	return nil
}

// Has reports whether an object has at least one of the members.
func (n *Node) Has(names ...string) bool {
	for _, name := range names {
		if n.Get(name) != nil {
			return true
		}
	}
	return false
}

// Is reports whether there is a value and it has this kind.
func (n *Node) Is(kind Kind) bool { return n != nil && n.Kind == kind }

// Any is the value in the types of package json, with numbers as [json.Number].
func (n *Node) Any() any {
	switch n.Kind {
	case String:
		return n.Text
	case Number:
		return json.Number(n.Text)
	case Bool:
		return n.Text == "true"
	case List:
		all := []any{}
		for _, item := range n.Items {
			all = append(all, item.Any())
		}
		return all
	case Object:
		all := map[string]any{}
		for _, m := range n.Members {
			all[m.Name] = m.Value.Any()
		}
		return all
	}
	return nil
}

// at finds the range of a path such as Statement[0].Condition.StringLike. If the document has only the beginning of the path, it is the
// range of that beginning; found reports whether there is any. The range of a member begins at its name. A name may contain dots, so the
// names of the document decide where the path is split.
func (n *Node) at(path string) (start, end int, found bool) {
	for _, m := range n.Members {
		rest, ok := strings.CutPrefix(path, m.Name)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
			continue
		}
		if start, end, ok := m.Value.at(strings.TrimPrefix(rest, ".")); ok {
			return start, end, true
		}
		return m.Start, m.Value.End, true
	}
	if rest, ok := strings.CutPrefix(path, "["); ok {
		digits, rest, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(digits); err == nil && i >= 0 && i < len(n.Items) {
			item := n.Items[i]
			if start, end, ok := item.at(strings.TrimPrefix(rest, ".")); ok {
				return start, end, true
			}
			return item.Start, item.End, true
		}
	}
	return n.Start, n.End, false
}

// At returns a copy of the node and of everything in it, with the place of another node. It is for values that were read from the text of
// a string.
func (n *Node) At(place *Node) *Node {
	c := &Node{Kind: n.Kind, Start: place.Start, End: place.End, Text: n.Text}
	for _, m := range n.Members {
		c.Members = append(c.Members, Member{Name: m.Name, Start: place.Start, Value: m.Value.At(place)})
	}
	for _, item := range n.Items {
		c.Items = append(c.Items, item.At(place))
	}
	return c
}

// New returns an object with the place of n. Members without a value are left out.
func (n *Node) New(members ...Member) *Node {
	c := &Node{Kind: Object, Start: n.Start, End: n.End}
	for _, m := range members {
		if m.Value != nil {
			c.Members = append(c.Members, Member{Name: m.Name, Start: m.Value.Start, Value: m.Value})
		}
	}
	return c
}

// List returns a list with the place of n.
func (n *Node) List(items ...*Node) *Node {
	return &Node{Kind: List, Start: n.Start, End: n.End, Items: items}
}

// String returns a string with the place of n.
func (n *Node) String(text string) *Node {
	return &Node{Kind: String, Start: n.Start, End: n.End, Text: text}
}
