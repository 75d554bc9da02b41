package trust

import (
	"cmp"
	"path"
	"regexp"
	"strconv"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
)

// A Document is a trust configuration that was read and compiled once. It can be judged for any number of identities, also at the
// same time.
type Document interface {
	Kind() Kind
	Name() string // empty where the file does not say
	File() *document.File
	Judge(id bitbucket.Identity, o Options) Result
}

// A Source is where a document stands in a file. Each kind of document holds one.
type Source struct {
	In     *document.File
	Inner  *document.Node // what the paths of findings are relative to
	Around *document.Node // what has the rest that findings are about, such as a role's MaxSessionDuration; nil for the same

	// Of is what the document is of, where only what stood around it says so.
	Of string
}

// Call says what the document is of. It must come before the first judgement.
func (s *Source) Call(name string) { s.Of = name }

// Target is what the document is of, or empty.
func (s Source) Target() string { return s.Of }

// File is the file.
func (s Source) File() *document.File { return s.In }

// longFix is how long a fix may be, in bytes, to be repeated with each finding that it is for.
const longFix = 2000

// Place finishes a result: it names the file, and gives each finding its place and its id.
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

// indexes are the numbers of list items in a path. They change when somebody adds an item before them.
var indexes = regexp.MustCompile(`\[\d+\]`)

// thing is what a result is about, whatever the file is called where it has a name of its own. Roles of several accounts share a name:
// what accepts a finding of one must not accept that of another.
func (s Source) thing(r Result) string {
	if name := cmp.Or(r.ARN, r.Name); name != "" {
		return name
	}
	return path.Clean(s.In.Name)
}
