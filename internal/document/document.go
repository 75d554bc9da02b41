// Package document reads a file that the tools of a cloud print as a tree of JSON values with their places.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a document nests: what the clouds' tools print has about ten levels. maxNodes bounds how many values it
// has: those of an account's 5,000 roles, the most that AWS grants, are half as many.
const (
	maxDepth = 100
	maxNodes = 500_000
)

// A Node is a JSON value of a file, with its place.
type Node struct {
	Start   int // of the value, in bytes
	Members []Member
	Items   []*Node
	Text    string // of a string
}

type Member struct {
	Name  string
	start int // of the name
	Value *Node
}

// Parse reads a file as one JSON object. It refuses a name that stands twice in an object: which of the two counts
// depends on the reader, so that no judgement would be certain. Its errors tell the line and never quote a value.
func Parse(data []byte) (*Node, error) {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return nil, errors.New("it is UTF-16: save it as UTF-8")
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not text")
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return nil, errors.New("it is not a JSON object")
	}
	r := &reader{dec: json.NewDecoder(bytes.NewReader(data)), data: data}
	root, err := r.value(0)
	if err == nil {
		if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
			err = r.wrong("more after the end of the JSON object")
		}
	}
	return root, err
}

type reader struct {
	dec   *json.Decoder
	data  []byte
	nodes int // read so far
}

// wrong is an error at the place that was reached.
func (r *reader) wrong(text string) error {
	return fmt.Errorf("line %d: %s", 1+bytes.Count(r.data[:r.dec.InputOffset()], []byte("\n")), text)
}

// value reads the next value.
func (r *reader) value(depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, r.wrong(fmt.Sprintf("nested deeper than %d levels", maxDepth))
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, r.wrong(fmt.Sprintf("more than %d values", maxNodes))
	}
	start := r.next()
	token, err := r.dec.Token()
	if err != nil {
		return nil, r.wrong("not JSON")
	}
	n := &Node{Start: start}
	switch token := token.(type) {
	case string:
		n.Text = token
	case json.Delim:
		if token == '[' {
			err = r.items(n, depth+1)
		} else {
			err = r.members(n, depth+1)
		}
		if err != nil {
			return nil, err
		}
		if _, err := r.dec.Token(); err != nil { // the bracket at the end
			return nil, r.wrong("not JSON")
		}
	}
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

// next is where the next token begins.
func (r *reader) next() int {
	offset := int(r.dec.InputOffset())
	for offset < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[offset]) >= 0 {
		offset++
	}
	return offset
}

// at finds what stands at a path such as Statement[0].Condition.StringLike, as far as the document has it: where it
// begins, and whether anything of the path was found. Names may hold dots, so that the path is read along the document.
func (n *Node) at(path string) (start int, found bool) {
	for _, m := range n.Members {
		rest, ok := strings.CutPrefix(path, m.Name)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
			continue
		}
		if inner, ok := m.Value.at(strings.TrimPrefix(rest, ".")); ok {
			return inner, true
		}
		return m.start, true
	}
	if rest, ok := strings.CutPrefix(path, "["); ok {
		digits, rest, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(digits); err == nil && i >= 0 && i < len(n.Items) {
			item := n.Items[i]
			if inner, ok := item.at(strings.TrimPrefix(rest, ".")); ok {
				return inner, true
			}
			return item.Start, true
		}
	}
	return n.Start, false
}

// Get is an object's member, or nil.
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

// An Index finds places in a file.
type Index struct {
	data  []byte
	lines []int // where each begins, in bytes
	runes []int // how many characters begin before each block of blockSize bytes
	root  *Node // nil if the file is no document
	roles map[string]*Node
}

// blockSize is how much of a file is counted for a place in it. A tool may print all of it on one line.
const blockSize = 4 << 10

// NewIndex reads a file once, for any number of places.
func NewIndex(data []byte) Index {
	x := Index{data: data, lines: []int{0}}
	for i, b := range data {
		if b == '\n' {
			x.lines = append(x.lines, i+1)
		}
	}
	count := 0
	for i, b := range data {
		if i%blockSize == 0 {
			x.runes = append(x.runes, count)
		}
		if utf8.RuneStart(b) {
			count++
		}
	}
	x.root, _ = Parse(data)
	x.roles = rolesOf(x.root)
	return x
}

// before is how many characters begin before a place.
func (x Index) before(place int) int {
	count := x.runes[place/blockSize]
	for _, b := range x.data[place/blockSize*blockSize : place] {
		if utf8.RuneStart(b) {
			count++
		}
	}
	return count
}

// Locate tells where a finding's path stands, or, where the file does not have it as such, what is nearest to it. Lines and
// columns count from 1, columns in characters.
func (x Index) Locate(name, path string) (line, column int) {
	if x.root == nil {
		return 1, 1
	}
	around := x.holderOf(name)
	inner := around
	for _, name := range []string{"AssumeRolePolicyDocument", "data"} { // the second: vault read
		if n := around.Get(name); n != nil {
			inner = n
		}
	}
	start, found := inner.at(path)
	if !found && inner != around { // such as the role's MaxSessionDuration
		if outer, ok := around.at(path); ok {
			start = outer
		}
	}
	line, _ = slices.BinarySearch(x.lines, start+1) // the lines that begin at start or before
	return line, 1 + x.before(start) - x.before(x.lines[line-1])
}

// holderOf is what the document that paths are relative to is a member of, in what the clouds' tools print.
func (x Index) holderOf(name string) *Node {
	if role := x.root.Get("Role"); role != nil { // aws iam get-role
		return role
	}
	if role, ok := x.roles[name]; ok {
		return role
	}
	return x.root
}

// rolesOf are the roles of aws iam list-roles by their names, of which the first counts.
func rolesOf(root *Node) map[string]*Node {
	all := map[string]*Node{}
	if roles := root.Get("Roles"); roles != nil {
		for _, role := range roles.Items {
			if n := role.Get("RoleName"); n != nil && all[n.Text] == nil {
				all[n.Text] = role
			}
		}
	}
	return all
}
