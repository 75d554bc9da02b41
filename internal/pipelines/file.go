// Package pipelines reads bitbucket-pipelines.yml: every step that a pipeline of the file can run, with the line where it
// stands. A file is hostile until it is read: what it costs to read is bounded, whatever its anchors multiply.
package pipelines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/strictyaml"
)

const (
	// FileName is what Bitbucket reads, at the top of the repository.
	FileName = "bitbucket-pipelines.yml"

	// MaxSize caps what is read. The longest file seen has 4,000 lines, a fifth of this.
	MaxSize = 1 << 20

	// maxNodes caps how many nodes the walk looks at: aliases can make a small file endless.
	maxNodes = 100_000
)

// A Place is a position in the file. Lines and columns count from 1, columns in characters.
type Place struct{ Line, Column int }

// A File is a bitbucket-pipelines.yml that was read.
type File struct {
	Steps   []Step   // every step that a pipeline can run, in the file's order of kinds and pipelines
	Faults  []Fault  // what Bitbucket refuses, or ignores with its steps
	Imports []Import // pipelines that another file defines: their steps are not known

	OIDC    *OIDC         // of options: the token of steps that do not say otherwise
	MaxTime time.Duration // of options; zero where they do not say
	Second  Place         // where a second YAML document begins, which Bitbucket does not read
}

// An Import is a pipeline in another file.
type Import struct {
	Place
	Path   string
	Name   string // of the pipeline
	Source string // as definitions.imports has it: a file, or REPOSITORY:REF[:FILE]; empty where it is not defined
	At     Place  // of the source
}

// A Fault is something of the file that is not what its author means.
type Fault struct {
	Place
	Kind FaultKind
	Path string
	Also []string // paths of the other steps that have it, through an anchor
	Text string   // a sentence
}

// A FaultKind says what a fault leads to.
type FaultKind int

// The kinds of faults.
const (
	Misplaced FaultKind = iota // steps that no pipeline runs
	Refused                    // Bitbucket refuses the whole file
	Ignored                    // a key that means nothing
	Value                      // a value of oidc that Bitbucket refuses
)

// An Unreadable error says why a file is no pipelines file.
type Unreadable struct {
	Place
	Reason string // in lower case, without the place
}

func (u *Unreadable) Error() string { return fmt.Sprintf("line %d: %s", u.Line, u.Reason) }

func unreadable(at Place, format string, args ...any) error {
	return &Unreadable{at, fmt.Sprintf(format, args...)}
}

// Parse reads a file. Its errors are of type [*Unreadable].
func Parse(data []byte) (*File, error) {
	if len(data) > MaxSize {
		return nil, unreadable(Place{1, 1}, "it is larger than %d KiB", MaxSize>>10)
	}
	if err := encoding(data); err != nil {
		return nil, err
	}
	data = version.ReplaceAll(data, []byte("${1}1"))
	dec := yaml.NewDecoder(bytes.NewReader(data))
	// Nothing is decoded but single values: into structs and maps, a small file can take hours and all memory.
	var root, second yaml.Node
	if err := dec.Decode(&root); err == io.EOF || err == nil && len(root.Content) == 0 {
		return nil, unreadable(Place{1, 1}, "it is empty")
	} else if err != nil {
		return nil, notYAML(err, data)
	}
	w := &walk{nodes: maxNodes, seen: map[*yaml.Node]*Fields{}, source: strings.Split(string(data), "\n"), file: &File{}}
	err := dec.Decode(&second)
	for err == nil && (len(second.Content) == 0 || second.Content[0].Tag == "!!null") {
		second = yaml.Node{}
		err = dec.Decode(&second)
	}
	if err == nil {
		w.file.Second = placeOf(second.Content[0])
	} else if err != io.EOF {
		w.file.Second = separator(w.source, root.Content[0].Line)
	}
	w.run(root.Content[0])
	var u *Unreadable
	if last := 1 + bytes.Count(bytes.TrimRight(data, "\n"), []byte{'\n'}); errors.As(w.err, &u) && u.Line > last {
		u.Place = Place{last, 1} // where there is nothing, the library names the line behind the end
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.file, nil
}

// separator is where the second document of a file begins, behind a line of the first one.
func separator(lines []string, behind int) Place {
	for i := behind; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], "---") || strings.HasPrefix(lines[i], "...") {
			return Place{i + 1, 1}
		}
	}
	return Place{}
}

// version matches a directive of a version that the library refuses and Bitbucket's reader takes (SnakeYAML: every 1.N).
var version = pattern.New(`(?m)^(%YAML[ \t]+1\.)[2-9]`)

// encoding refuses a file that is not UTF-8: the YAML library takes UTF-16, and all places would be wrong.
func encoding(data []byte) error {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) || bytes.IndexByte(data, 0) >= 0 {
		return unreadable(Place{1, 1}, "it is UTF-16 or no text: save it as UTF-8")
	}
	for rest, line := data, 1; len(rest) > 0; line++ {
		text := rest
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			text = rest[:end+1]
		}
		if !utf8.Valid(text) {
			return unreadable(Place{line, 1}, "it is not UTF-8")
		}
		rest = rest[len(text):]
	}
	return nil
}

var anchor = pattern.New(`^unknown anchor '(.*)' referenced$`)

// notYAML is the library's error with the line where it shows.
func notYAML(err error, data []byte) error {
	lines := strings.Split(string(data), "\n")
	line, reason := strictyaml.Complaint(err, data)
	if name := anchor.FindStringSubmatch(reason); name != nil {
		return unreadable(alias(lines, name[1]), "the alias *%s has no anchor &%s above it", name[1], name[1])
	}
	if text := lines[line-1]; strings.Contains(text[:len(text)-len(strings.TrimLeft(text, " \t"))], "\t") {
		return unreadable(Place{line, 1 + strings.Index(text, "\t")}, "it is not YAML: a tab in the indentation")
	}
	return unreadable(Place{line, 1}, "it is not YAML: %s", reason)
}

// alias is where a file names an anchor that it does not have.
func alias(lines []string, name string) Place {
	use := regexp.MustCompile(`(?:^|[\s\[{,:-])(\*` + regexp.QuoteMeta(name) + `)(?:$|[\s,\]}])`)
	for i, line := range lines {
		if at := use.FindStringSubmatchIndex(line); at != nil && !strings.Contains(" "+line[:at[2]], " #") {
			return Place{i + 1, 1 + utf8.RuneCountInString(line[:at[2]])}
		}
	}
	return Place{1, 1}
}
