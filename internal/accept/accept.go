// Package accept reads lists of findings that somebody decided to live with, each until a day and for a reason.
package accept

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/strictyaml"
)

// maxList bounds a list: ten thousand entries of usual length.
const maxList = 2 << 20

// An Entry accepts the finding that has its id.
type Entry struct {
	ID, Why      string
	Until        time.Time // the last day, in UTC
	Line, Column int       // in the list

	// Missing is what the entry lacks, for a message; empty for an entry that is complete. An entry that lacks something accepts
	// nothing.
	Missing string
}

// Accepts reports whether the entry is complete and not expired.
func (e Entry) Accepts(now time.Time) bool { return e.Missing == "" && !e.over(now) }

// over reports whether the entry's last day is over.
func (e Entry) over(now time.Time) bool {
	return !e.Until.IsZero() && !now.Before(e.Until.AddDate(0, 0, 1))
}

// Read reads a list, which has one entry a finding: {id, until, why}. A list with comments only is empty. A name that an entry
// does not have is an error, so that a misspelt one is not taken for a missing one.
func Read(data []byte) ([]Entry, error) {
	if onlyComments(data) {
		return nil, nil
	}
	f, err := strictyaml.Read(data, maxList)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, item := range f.Root.Items() {
		all = append(all, entry(item))
	}
	var errs []error
	for _, p := range f.Problems() {
		errs = append(errs, p)
	}
	return all, errors.Join(errs...)
}

func entry(v strictyaml.Value) Entry {
	field := v.WithCommas("why").Fields("id", "until", "why")
	e := Entry{ID: strings.TrimSpace(field("id").Text()), Why: strings.TrimSpace(field("why").Text()), Line: v.Line(), Column: v.Column()}
	until, err := time.Parse(time.DateOnly, field("until").Text())
	switch {
	case e.ID == "":
		e.Missing = "an id"
	case e.Why == "":
		e.Missing = "a reason"
	case err != nil:
		e.Missing = "a date such as 2027-03-31"
	}
	if err == nil {
		e.Until = until
	}
	return e
}

func onlyComments(data []byte) bool {
	return !slices.ContainsFunc(bytes.Split(data, []byte("\n")), func(line []byte) bool {
		line = bytes.TrimSpace(line)
		return len(line) > 0 && line[0] != '#'
	})
}
