// Package document reads the files that the tools of a cloud print, as trees of JSON values with their places.
package document

import (
	"slices"
	"unicode/utf8"
)

// A File is a file that was read once.
type File struct {
	Name string
	Data []byte
	Root *Node

	lines []int // the offset of each line, in bytes
	runes []int // the number of characters before each block of blockSize bytes
}

// blockSize bounds how many bytes are counted to find the column of a place. A tool may print a whole file on one line.
const blockSize = 4 << 10

// Read reads a file. See [Parse].
func Read(name string, data []byte) (*File, error) {
	root, err := Parse(data)
	if err != nil {
		return nil, err
	}
	return newFile(name, data).With(root), nil
}

// ReadAll reads a file of several values. See [ParseAll].
func ReadAll(name string, data []byte, skip func(value []byte) bool) ([]*File, error) {
	roots, err := ParseAll(data, skip)
	if err != nil {
		return nil, err
	}
	f := newFile(name, data)
	all := make([]*File, len(roots))
	for i, root := range roots {
		all[i] = f.With(root)
	}
	return all, nil
}

// Empty is a file without content.
func Empty(name string) *File { return newFile(name, nil).With(&Node{Kind: Null}) }

// With is the file with another root. The places in the root are places in this file.
func (f *File) With(root *Node) *File {
	other := *f
	other.Root = root
	return &other
}

func newFile(name string, data []byte) *File {
	f := &File{Name: name, Data: data, lines: []int{0}}
	count := 0
	for i, b := range data {
		if b == '\n' {
			f.lines = append(f.lines, i+1)
		}
		if i%blockSize == 0 {
			f.runes = append(f.runes, count)
		}
		if utf8.RuneStart(b) {
			count++
		}
	}
	return f
}

// before is the number of characters before a place.
func (f *File) before(place int) int {
	block := min(place, len(f.Data)-1) / blockSize
	count := f.runes[block]
	for _, b := range f.Data[block*blockSize : place] {
		if utf8.RuneStart(b) {
			count++
		}
	}
	return count
}

// position is the line and the column of a place.
func (f *File) position(place int) (line, column int) {
	line, _ = slices.BinarySearch(f.lines, place+1) // the number of lines that begin at place or before it
	return line, 1 + f.before(place) - f.before(f.lines[line-1])
}

// A Place is a range in a file. Lines and columns count from 1, columns in characters; the end is behind the last character.
type Place struct {
	Line, Column       int
	EndLine, EndColumn int
}

// Locate finds the place of a path. It looks in each node of below in turn, and takes the first node that has at least the beginning of
// the path. If no node has it, the place is that of the first node.
func (f *File) Locate(path string, below ...*Node) Place {
	start, end := f.Root.Start, f.Root.End
	for i, n := range below {
		if n == nil {
			continue
		}
		s, e, found := n.at(path)
		if found || i == 0 {
			start, end = s, e
		}
		if found {
			break
		}
	}
	var p Place
	p.Line, p.Column = f.position(start)
	p.EndLine, p.EndColumn = f.position(end)
	return p
}
