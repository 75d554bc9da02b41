// Package evidence turns many records of logins into what an auditor asks for: the whole population, a sample that can be drawn
// again, the exceptions, how complete it all is, and which controls it supports. The same input gives the same bytes.
//
// Package record describes what a record says. Records are read once and one line at a time: an entry of an index is kept of each, and
// its row lies in a file until the rows are written in order.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/visible"
)

// Config says what is packed.
type Config struct {
	Version    string   // of this program
	Records    []string // files; - is standard input
	CloudTrail []string
	Stdin      io.Reader
	From, To   time.Time // days, both included, in UTC
	Out        string    // the folder
	Sample     int
	Seed       string
}

// end is the first moment after the period.
func (c Config) end() time.Time { return c.To.AddDate(0, 0, 1) }

// A Summary is what a package holds.
type Summary struct {
	Rows, Exceptions, Malformed, Outside, Gaps int
}

// Write makes the package. An error leaves no package behind, or the one that was there as it was.
func Write(ctx context.Context, c Config) (Summary, error) {
	records, events := named(c.Records), named(c.CloudTrail)
	out, err := create(c.Out)
	if out != nil {
		defer out.close()
	}
	if err := errors.Join(err, openable(slices.Concat(records, events), c.Stdin)); err != nil {
		return Summary{}, err
	}
	trail, err := readTrail(ctx, events, c.Stdin)
	if err != nil {
		return Summary{}, err
	}
	spool, err := out.spool()
	if err != nil {
		return Summary{}, err
	}
	p := &population{config: c, trail: trail, spool: spool, seed: maphash.MakeSeed()}
	for _, f := range records {
		if err := p.read(ctx, f); err != nil {
			return Summary{}, err
		}
	}
	if err := p.spool.flush(); err != nil {
		return Summary{}, err
	}
	p.sort()
	p.joinSessions()
	if err := p.write(ctx, out); err != nil {
		return Summary{}, err
	}
	if err := out.commit(); err != nil {
		return Summary{}, err
	}
	return Summary{Rows: len(p.order), Exceptions: p.exceptions(), Malformed: p.malformed, Outside: p.outside, Gaps: len(p.gaps)}, nil
}

// unreadable is the error of an input.
func unreadable(name string, err error) error {
	if cause := (*os.PathError)(nil); errors.As(err, &cause) {
		err = cause.Err
	}
	advice := "give a file that can be read whole, or - for standard input"
	if errors.Is(err, errNoTrail) {
		advice = "give log files of CloudTrail, or the answer of aws cloudtrail lookup-events"
	}
	return hint.With(fmt.Errorf("%s: cannot be read: %w", visible.Text(name), err), advice)
}
