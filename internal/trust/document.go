package trust

import (
	"cmp"
	"path"
	"strconv"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

// A Document is a trust configuration that was read and compiled once. It can be judged for any number of identities, also at the
// same time.
type Document interface {
	Kind() Kind
	Name() string // empty where the file does not say
	File() *document.File
	Judge(id bitbucket.Identity, o Options) Result
}

// A Source is the place of a document in a file. Each kind of document has one.
type Source struct {
	In     *document.File
	Inner  *document.Node // the paths of findings are relative to this node
	Around *document.Node // has the rest that findings are about, such as the MaxSessionDuration of a role; nil for Inner

	// Of is what the document belongs to, such as a service account, if the document itself does not say so.
	Of string
}

// Call says what the document belongs to. It must be called before the first judgement.
func (s *Source) Call(name string) { s.Of = name }

// Target is what the document belongs to, or empty.
func (s Source) Target() string { return s.Of }

// File is the file.
func (s Source) File() *document.File { return s.In }

// Locate is where in the file a path of the document is.
func (s Source) Locate(path string) (file string, at finding.Place) {
	p := s.In.Locate(path, s.Inner, s.Around)
	return s.In.Name, finding.Place{Line: p.Line, Column: p.Column, EndLine: p.EndLine, EndColumn: p.EndColumn}
}

// longFix is the length in bytes up to which a fix is repeated with each finding that it is for.
const longFix = 2000

// Place completes a result: it names the file, and gives each finding its place and its id.
func (s Source) Place(r Result) Result {
	r.File, r.Name = s.In.Name, cmp.Or(r.Name, s.Of)
	same, fixes := map[string]int{}, map[string]string{}
	for i := range r.Findings {
		f := &r.Findings[i]
		p := s.In.Locate(f.Path, s.Inner, s.Around)
		f.File, f.Docs = s.In.Name, finding.Docs(f.Rule)
		f.Line, f.Column, f.End = p.Line, p.Column, finding.Place{Line: p.EndLine, Column: p.EndColumn}
		shape := indexes.ReplaceAllString(f.Path, "[]")
		key := f.Rule + " " + shape + " " + f.Message
		f.ID = finding.Identify(f.Rule, string(r.Kind), s.thing(r), shape, f.Message, strconv.Itoa(same[key]))
		same[key]++
		switch first, known := fixes[f.Fix.Text]; {
		case len(f.Fix.Text) <= longFix:
		case known:
			f.Fix = finding.Fix{Kind: finding.Advice, Text: "the same as for finding " + first}
		default:
			fixes[f.Fix.Text] = f.ID
		}
	}
	return Whole(r)
}

// indexes are the numbers of list items in a path. They change when somebody adds an item before one.
var indexes = pattern.New(`\[\d+\]`)

// thing is what a result is about: its own name if it has one, so the name of the file does not matter. Roles of several accounts
// can share a name, and who accepts a finding of one role must not accept a finding of another, so the ARN comes first.
func (s Source) thing(r Result) string {
	if name := cmp.Or(r.ARN, r.Name); name != "" {
		return name
	}
	return path.Clean(s.In.Name)
}
