package findingtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// A Case is a situation in the archive of a rule.
type Case struct {
	// Kind is Found where the rule finds something; Fixed where the first Found case was mended as its finding says; Trap where the rule
	// must find nothing in what looks like it.
	Kind  string
	Title string
	Files []txtar.File // with their own names
}

// The kinds of cases.
const (
	Found = "found"
	Fixed = "fixed"
	Trap  = "trap"
)

// File is the file of a name, or nil.
func (c Case) File(name string) []byte {
	for _, f := range c.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// Without are the files with other names.
func (c Case) Without(names ...string) []txtar.File {
	return slices.DeleteFunc(slices.Clone(c.Files), func(f txtar.File) bool { return slices.Contains(names, f.Name) })
}

// Cases reads an archive whose files are named KIND/TITLE/NAME. KIND TITLE is short for a case of one file, which is named only. What
// belongs to no case is shared by all of them, such as a document that all are judged against.
func Cases(t testing.TB, path, only string) (cases []Case, shared []txtar.File) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		kind, title, name := split(f.Name, only)
		switch {
		case kind == "":
			shared = append(shared, f)
			continue
		case kind != Found && kind != Fixed && kind != Trap:
			t.Fatalf("%s: %s: %q is no kind of case", path, f.Name, kind)
		}
		if last := len(cases) - 1; last < 0 || cases[last].Kind != kind || cases[last].Title != title {
			cases = append(cases, Case{Kind: kind, Title: title})
		}
		c := &cases[len(cases)-1]
		c.Files = append(c.Files, txtar.File{Name: name, Data: f.Data})
	}
	return cases, shared
}

func split(text, only string) (kind, title, name string) {
	if parts := strings.Split(text, "/"); len(parts) == 3 {
		return parts[0], parts[1], parts[2]
	}
	kind, title, found := strings.Cut(text, " ")
	if !found {
		return "", "", ""
	}
	return kind, title, only
}
