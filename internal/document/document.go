// Package document reads a file that the tools of a cloud print as a tree of JSON values with their places.
package document

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// A File is a file that was read once.
type File struct {
	Name string
	Data []byte
	Root *Node

	lines []int // where each begins, in bytes
	runes []int // how many characters begin before each block of blockSize bytes
}

// blockSize is how much of a file is counted for a place in it. A tool may print all of it on one line.
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

// Empty is a file of which nothing is kept.
func Empty(name string) *File { return newFile(name, nil).With(&Node{Kind: Null}) }

// With is the file with another value in it as its root, whose places are places in the file.
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

// before is how many characters begin before a place.
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
	line, _ = slices.BinarySearch(f.lines, place+1) // the lines that begin at place or before
	return line, 1 + f.before(place) - f.before(f.lines[line-1])
}

// Line is the text of a line, without its end. Lines count from 1.
func (f *File) Line(line int) string {
	if line < 1 || line > len(f.lines) {
		return ""
	}
	text, _, _ := bytes.Cut(f.Data[f.lines[line-1]:], []byte("\n"))
	return string(bytes.TrimSuffix(text, []byte("\r")))
}

// A Place is a range in a file. Lines and columns count from 1, columns in characters; the end is behind the last character.
type Place struct {
	Line, Column       int
	EndLine, EndColumn int
}

// Locate finds where a path stands below the first of some nodes that has anything of it. Where none has, it is the place of
// the first node.
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
