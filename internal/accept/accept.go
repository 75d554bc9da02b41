// Package accept reads lists of findings that somebody decided to live with, each until a day and for a reason.
package accept

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"bitbucket-oidc/internal/finding"
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

// Expired reports whether the entry's last day is over.
func (e Entry) Expired(now time.Time) bool {
	return !e.Until.IsZero() && !now.Before(e.Until.AddDate(0, 0, 1))
}

// Accepts reports whether the entry is complete and not expired.
func (e Entry) Accepts(now time.Time) bool { return e.Missing == "" && !e.Expired(now) }

// Read reads a list, which has one entry a finding: {id, until, why}. A list of nothing but comments is empty. A name that an entry
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
	field := v.Fields("id", "until", "why")
	e := Entry{ID: field("id").Text(), Why: field("why").Text(), Line: v.Line(), Column: v.Column()}
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

// Rules are those about accepting: in lists, and in comments of a pipelines file.
func Rules() []finding.Rule { return []finding.Rule{Incomplete(), Expired(), Unused()} }

// Incomplete finds an entry or a comment that lacks something.
func Incomplete() finding.Rule {
	return finding.Rule{
		Name: "accept-incomplete", Severity: finding.Warning,
		Finds: "a finding that is accepted without a reason, or without a date where a date is needed",
		Why:   "Whoever reads it later cannot know whether the reason still holds. It accepts nothing.",
		Fix:   "Write why the finding is accepted, and in a list until when.",
	}
}

// Expired finds an entry whose last day is over.
func Expired() finding.Rule {
	return finding.Rule{
		Name: "accept-expired", Severity: finding.Warning,
		Finds: "a finding that was accepted until a day that is over",
		Why:   "Somebody wanted to look at it again. It accepts nothing any more.",
		Fix:   "Mend the finding, or decide anew until when it is accepted.",
	}
}

// Unused finds an entry or a comment that accepts nothing.
func Unused() finding.Rule {
	return finding.Rule{
		Name: "accept-unused", Severity: finding.Warning,
		Finds: "a finding that is accepted and not there",
		Why:   "It was mended, or its name is misspelt. Left in place, it would hide the next one.",
		Fix:   "Remove it.",
	}
}
