// Package refusal turns a service's answer into a message: a table says what each code means, and what to do about it. Nothing
// that the service wrote gets into a message, except a code that the table has.
package refusal

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/hint"
)

// An Answer is how a service refused. Reason and Text are only compared.
type Answer struct {
	Status int    // of HTTP
	Code   string // the service's own, such as AccessDenied, or empty
	Reason string // a more exact code, such as Google's ErrorInfo.reason, or empty
	Text   string // for people
}

// A Row is one meaning. An empty column fits every answer. T is what is known about the request.
type Row[T any] struct {
	Status int
	Code   string
	Reason string

	// Texts are phrases. The answer must have one of them: whole words, in upper or lower case, with any white space between them. They
	// must be words that the service always writes, without names and numbers of one request.
	Texts []string

	Means string      // without a full stop; follows the code in the message
	Clock clock.Cause // which error of the runner's clock would explain it
	Do    func(T) []string
}

// A Table is searched from the top: the first row that fits counts.
type Table[T any] []Row[T]

// Find returns the row for an answer, and whether there is one.
func (t Table[T]) Find(a Answer) (Row[T], bool) {
	text := words(a.Text)
	for _, r := range t {
		if r.fits(a, text) {
			return r, true
		}
	}
	return Row[T]{}, false
}

func (r Row[T]) fits(a Answer, text string) bool {
	return (r.Status == 0 || r.Status == a.Status) &&
		(r.Code == "" || r.Code == a.Code) &&
		(r.Reason == "" || r.Reason == a.Reason) &&
		(len(r.Texts) == 0 || slices.ContainsFunc(r.Texts, func(phrase string) bool { return contains(text, words(phrase)) }))
}

// Err is the error of an answer that the row fits, with its hints. doing names what was being done.
func (r Row[T]) Err(doing string, a Answer, about T) error {
	var advice []string
	if r.Do != nil {
		advice = r.Do(about)
	}
	return hint.With(r.Bare(doing, a), advice...)
}

// Bare is the error without its hints. It names the row's own code and reason, which are never the service's text.
func (r Row[T]) Bare(doing string, a Answer) *Error {
	return &Error{Doing: doing, Status: a.Status, Code: r.Code, Reason: r.Reason, Means: r.Means, Clock: r.Clock, byStatus: r.Status != 0}
}

// Said is the row's message, from the code on.
func (r Row[T]) Said() string { return r.Bare("", Answer{Status: r.Status}).said() }

// Said are the rows' messages, from the code on: the documentation must have all of them.
func (t Table[T]) Said() []string {
	said := make([]string, len(t))
	for i, r := range t {
		said[i] = r.Said()
	}
	return said
}

// An Error is a refusal that a table explains.
type Error struct {
	Doing  string
	Status int
	Code   string // one of the table's, or empty
	Reason string // likewise
	Means  string
	Clock  clock.Cause

	byStatus bool // whether the table has the status instead of a code
}

func (e *Error) Error() string { return e.Doing + ": " + e.said() }

// said names the most exact of the codes.
func (e *Error) said() string {
	switch {
	case e.Code != "" && e.Reason != "":
		return fmt.Sprintf("%s: %s: %s", e.Code, e.Reason, e.Means)
	case e.Code != "" || e.Reason != "":
		return fmt.Sprintf("%s: %s", e.Code+e.Reason, e.Means)
	case e.byStatus:
		return fmt.Sprintf("status %d: %s", e.Status, e.Means)
	}
	return e.Means
}

// Expired are the phrases by which services say that a token is too old.
func Expired() []string { return []string{"expired", "stale to sign-in", "too old"} }

// TooNew are the phrases by which services say that a token begins later than now.
func TooNew() []string {
	return []string{"in the future", "not yet valid", "not valid yet", "is not active yet", "used too early", "used before issued"}
}

// words is text in lower case, with one space for any white space.
func words(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// Says reports whether a text has a phrase of a row's Texts: whole words, in upper or lower case, with any white space between them.
func Says(text, phrase string) bool { return contains(words(text), words(phrase)) }

// contains reports whether text has phrase with no letter, digit or hyphen directly beside it where phrase itself ends in one.
func contains(text, phrase string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], phrase)
		if at < 0 || phrase == "" {
			return phrase == ""
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(phrase):])
		first, _ := utf8.DecodeRuneInString(phrase)
		last, _ := utf8.DecodeLastRuneInString(phrase)
		if !(inWord(before) && inWord(first)) && !(inWord(last) && inWord(after)) {
			return true
		}
		from = at + 1
	}
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_')
}
