// Package collect splits the files of collectors, which describe many things, into documents. Each document describes one thing, in
// the form in which the cloud's own tool prints it, and keeps its place in the file.
package collect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/pattern"
)

// A Document is one thing, or a list of roles.
type Document struct {
	*document.File

	// Target is what the document is about, in the form of an access map, if the file says it only outside of the document: a service
	// account, a role of Vault, a mount. A role of Vault without a known server is auth/MOUNT/role/NAME.
	Target string

	// Names are the ARNs of roles that name no provider of Bitbucket's. The document has nothing else of them, because nobody of
	// Bitbucket becomes them.
	Names []string

	// Gone are the ARNs of roles that a plan deletes.
	Gone []string

	// Unknown is why a part of the document is not known. It is empty for a document that is whole.
	Unknown string

	// Kind is the kind of a document with an Unknown part, and of a document about no single target. It is empty if the document itself
	// shows its kind.
	Kind Kind

	// Whole reports that the document is of everything of this kind that the account has, or of the last page of it: nothing was filtered,
	// and no page follows.
	Whole bool

	// Cut reports that the document is of a page that another one follows, as the page itself says.
	Cut bool
}

// A Kind is a kind of document that only counts together with others, or that is not known.
type Kind string

// The kinds.
const (
	Role      Kind = "aws-role"   // of an Unknown one
	Policy    Kind = "gcp-policy" // of an Unknown one
	Pool      Kind = "gcp-pool"
	Direct    Kind = "gcp-direct" // the policy of a resource that is no service account
	Mount     Kind = "vault-config"
	Providers Kind = "aws-providers" // the list of an account's OIDC providers
	Control   Kind = "aws-rcp"       // a resource control policy, as an object or as a string
	Named     Kind = "aws-names"     // Names or Gone, and nothing else
)

// A File is a file to take apart.
type File struct {
	Name   string
	Data   []byte
	Target string // what the file's one document is of; empty where the caller does not know
}

// Files splits a file. A value of a kind that this package does not know is returned as it is: the caller may know it. Errors name
// the line.
func Files(f File) ([]Document, error) {
	var t taker
	var names []string
	files, err := document.ReadAll(f.Name, f.Data, func(line []byte) bool {
		arn, ok := otherRole(line)
		if ok {
			names = append(names, arn)
		}
		return ok
	})
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		t.add(Document{File: document.Empty(f.Name), Kind: Named, Names: names, Whole: true})
	}
	for _, one := range files {
		if err := t.value(one, one.Root, len(files)+len(names) > 1); err != nil {
			return nil, fmt.Errorf("line %d: %w", one.Locate("", one.Root).Line, err)
		}
	}
	if f.Target != "" {
		if len(t.documents) != 1 {
			return nil, fmt.Errorf("a target is given, and the file has %d documents", len(t.documents))
		}
		t.documents[0].Target = f.Target
	}
	return t.documents, nil
}

// A taker splits one file.
type taker struct{ documents []Document }

func (t *taker) add(d Document) { t.documents = append(t.documents, d) }

// value splits one value. one says that the value is an item of a list: a role in a list is a document only if it trusts Bitbucket.
func (t *taker) value(f *document.File, n *document.Node, one bool) error {
	if n.Is(document.List) {
		if len(n.Items) == 0 {
			return errEmpty
		}
		for _, item := range n.Items {
			if err := t.value(f, item, true); err != nil {
				return err
			}
		}
		return nil
	}
	if !n.Is(document.Object) {
		return errors.New("it is not a JSON object or list")
	}
	if err := oneKind(n); err != nil {
		return err
	}
	before := len(t.documents)
	if err := t.taken(f, n, one); err != nil {
		return err
	}
	if n.Get("IsTruncated").Is(document.Bool) && n.Get("IsTruncated").Text == "true" || text(n.Get("NextToken")) != "" || text(n.Get("nextPageToken")) != "" {
		for i := range t.documents[before:] {
			t.documents[before+i].Whole, t.documents[before+i].Cut = false, true
		}
	}
	return nil
}

// oneKind returns an error for an object that looks like two kinds of documents. No tool prints such an object, and only one of the two would
// be judged.
func oneKind(n *document.Node) error {
	var marks []string
	for _, names := range [][]string{
		{"Role"}, {"Roles"}, {"AssumeRolePolicyDocument"}, {"Statement"}, {"ClientIDList"}, {"oidc", "attributeMapping"}, {"bindings"},
		{"data", "bound_claims", "bound_audiences"},
	} {
		if i := slices.IndexFunc(names, func(name string) bool { return n.Has(name) }); i >= 0 {
			marks = append(marks, names[i])
		}
	}
	if len(marks) > 1 {
		return fmt.Errorf("it has %s beside %s, which are of two documents: give one file for each", marks[1], marks[0])
	}
	return nil
}

func (t *taker) taken(f *document.File, n *document.Node, one bool) error {
	for _, take := range []func(*document.File, *document.Node, bool) (bool, error){t.aws, t.terraform, t.google, t.vault} {
		if ok, err := take(f, n, one); ok || err != nil {
			return err
		}
	}
	t.add(Document{File: f.With(n)}) // for the caller to tell
	return nil
}

// errEmpty is the error of a list without items: it does not say what it is a list of.
var errEmpty = errors.New("an empty list, which does not say of what")

// text is a string, or empty.
func text(n *document.Node) string {
	if n.Is(document.String) {
		return n.Text
	}
	return ""
}

// inner parses the JSON that is the text of a string.
func inner(n *document.Node) (*document.Node, error) {
	roots, err := document.ParseAll([]byte(n.Text), nil)
	switch {
	case err != nil:
		return nil, fmt.Errorf("a string that is not JSON: %w", withoutLine(err))
	case len(roots) != 1:
		return nil, errors.New("a string with several JSON values")
	}
	return roots[0].At(n), nil
}

var aLine = pattern.New(`^line \d+: `)

// withoutLine drops a line that counts in a string and not in the file.
func withoutLine(err error) error { return errors.New(aLine.ReplaceAllString(err.Error(), "")) }

// policyText is a policy as a string: an object that was read from a string has no text of its own in the file, so its size is not known from there.
func policyText(n *document.Node) *document.Node {
	if n.Is(document.Object) {
		return n.String(document.Tight(n.Any()))
	}
	return n
}

// MentionsBitbucket reports whether a value can name a provider of Bitbucket's, also URL-encoded. A value with letters that are
// written as numbers can.
func MentionsBitbucket(value []byte) bool {
	small := bytes.ToLower(value)
	for _, text := range []string{"bitbucket", `\u00`, "%5cu00"} {
		if bytes.Contains(small, []byte(text)) {
			return true
		}
	}
	return false
}

// Cut shortens a line of a file with one value on each line: of a role that does not name Bitbucket, only the names stay. Other lines
// stay as they are.
func Cut(line []byte) []byte {
	arn, ok := otherRole(line)
	if !ok {
		return line
	}
	short, err := json.Marshal(map[string]string{"RoleName": arn[strings.LastIndexByte(arn, '/')+1:], "Arn": arn})
	if err != nil {
		return line // cannot be: two texts
	}
	return short
}

// otherRole is the ARN of a role that does not name Bitbucket, and whether a line is one.
func otherRole(line []byte) (arn string, ok bool) {
	if MentionsBitbucket(line) || bytes.Contains(line, []byte("workloadIdentityPools")) || bytes.Contains(line, []byte("bound_")) {
		return "", false
	}
	var one struct {
		Arn           string
		Lower         string `json:"arn"`
		Configuration struct{ Arn string }
		Role          struct{ Arn string }
	}
	if json.Unmarshal(line, &one) != nil {
		return "", false
	}
	for _, arn := range []string{one.Arn, one.Lower, one.Configuration.Arn, one.Role.Arn} {
		if strings.Contains(arn, ":role/") {
			return arn, true
		}
	}
	return "", false
}
