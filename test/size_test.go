package test

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// What a reader takes in at once. Tables of tests are long by nature: their rows are what must fit.
const (
	longestFile     = 400 // lines of a file of the program, or of what stands in for a cloud
	longestFunction = 70  // lines of a function in such a file
	widestRow       = 160 // characters of a line of a test, and of a line of the program without its texts and comments
)

// TestNothingIsTooLong finds code beyond these sizes.
func TestNothingIsTooLong(t *testing.T) {
	for _, root := range []string{"../pipe", "../internal", "."} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(file) != ".go" {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if root == "." || strings.HasSuffix(file, "_test.go") {
				narrow(t, file, string(text))
			}
			if !strings.HasSuffix(file, "_test.go") {
				short(t, file, string(text))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func narrow(t *testing.T, file, text string) {
	t.Helper()
	number := 0
	for line := range strings.Lines(text) {
		number++
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > widestRow {
			t.Errorf("%s:%d: %d characters, more than %d: name the columns of a table and break its rows", file, number, n, widestRow)
		}
	}
}

func short(t *testing.T, file, text string) {
	t.Helper()
	if n := strings.Count(text, "\n"); n > longestFile {
		t.Errorf("%s: %d lines, more than %d: give each of its subjects a file", file, n, longestFile)
	}
	for number, line := range strings.Split(withoutTexts(text), "\n") {
		if n := utf8.RuneCountInString(line); n > widestRow {
			t.Errorf("%s:%d: %d characters without texts, more than %d: break the line, or name a part of it", file, number+1, n, widestRow)
		}
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > longestFunction {
			t.Errorf("%s: %s has %d lines, more than %d", file, f.Name.Name, n, longestFunction)
		}
	}
}

// withoutTexts is the source of a file without its comments, and without what is between quotation marks. Lines stay lines.
func withoutTexts(source string) string {
	var b strings.Builder
	var s scanner.Scanner
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(source))
	s.Init(file, []byte(source), nil, scanner.ScanComments)
	at := 0
	for {
		pos, kind, text := s.Scan()
		if kind == token.EOF {
			return b.String() + source[at:]
		}
		if kind == token.STRING || kind == token.COMMENT {
			from := file.Offset(pos)
			b.WriteString(source[at:from] + strings.Repeat("\n", strings.Count(text, "\n")))
			at = from + len(text)
		}
	}
}
