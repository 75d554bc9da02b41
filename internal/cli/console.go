package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/visible"
)

// Console is where a program prints. Requests run side by side, and so may their traces.
type Console struct {
	Version   string // of the program
	mu        sync.Mutex
	out, err  io.Writer
	debugging bool
	unprinted error // the first thing that standard output did not take
}

func (c *Console) line(w io.Writer, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintln(w, text); err != nil && w == c.out && c.unprinted == nil {
		c.unprinted = err
	}
}

// settle is the exit status of a command that has printed an answer: an incomplete answer is a failure.
func (c *Console) settle(status int) int {
	c.mu.Lock()
	err := c.unprinted
	c.mu.Unlock()
	var of *fs.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	if err == nil || status >= Misused {
		return status
	}
	return c.Fail(hint.New("standard output: "+err.Error(), "the answer is not complete: give it a file with space, such as with --output"), Misused)
}

// answer prints what was asked for, and returns the exit status.
func (c *Console) answer(text string) int {
	c.Print(text)
	return c.settle(Done)
}

// Colours reports whether standard output is a terminal that may get colours.
func (c *Console) Colours(vars *config.Vars) bool {
	return !vars.Colourless() && terminal(c.out)
}

// Progress prints the progress of something on a terminal, where somebody can watch it.
func (c *Console) Progress(text string) {
	if terminal(c.err) {
		c.line(c.err, visible.Text(text))
	}
}

// terminal reports whether what is written is shown on a terminal.
func terminal(w io.Writer) bool {
	file, ok := w.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// Print prints text of the program, or text that was made visible. It may have many lines.
func (c *Console) Print(text string) { c.line(c.out, text) }

// Lines prints text of several lines that may contain text of files and claims.
func (c *Console) Lines(text string) { c.Print(visible.Lines(text)) }

// Streams are standard input and output, for a command that speaks a protocol on them: it must not print anything else there.
func (c *Console) Streams() (io.ReadCloser, io.WriteCloser) { return os.Stdin, stream{c} }

// Unprinted reports whether standard output did not take something. The exit status will say so.
func (c *Console) Unprinted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unprinted != nil
}

// A stream is standard output. Closing leaves it open: the process ends it.
type stream struct{ c *Console }

// Write implements [io.Writer].
func (s stream) Write(data []byte) (int, error) {
	n, err := s.c.out.Write(data) // without the lock: it waits as long as the reader does
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if err != nil && s.c.unprinted == nil {
		s.c.unprinted = err
	}
	return n, err
}

// Close implements [io.Closer].
func (stream) Close() error { return nil }

// Warn prints a warning.
func (c *Console) Warn(text string) { c.line(c.err, "warning: "+visible.Text(text)) }

// Debug prints a line if DEBUG is on.
func (c *Console) Debug(text string) {
	if c.debugging {
		c.line(c.err, "debug: "+visible.Text(text))
	}
}

// Fail prints every failure in err with its hints and returns status. Failures with the same hints stand together above them,
// and no hint is printed twice.
func (c *Console) Fail(err error, status int) int {
	told := map[string]bool{}
	for _, group := range alike(hint.Failures(err)) {
		for _, failure := range group {
			c.line(c.err, "✖ "+visible.Text(failure.Error()))
		}
		for _, advice := range hint.All(group[0]) {
			if !told[advice] {
				told[advice] = true
				c.Hint(advice)
			}
		}
	}
	return status
}

// Hint prints advice. It may be followed by lines to paste, which are indented.
func (c *Console) Hint(advice string) {
	c.line(c.err, "hint: "+strings.ReplaceAll(visible.Lines(advice), "\n", "\n  "))
}

// alike groups failures that have the same hints, in the order of the first of each.
func alike(failures []error) [][]error {
	var groups [][]error
	place := map[string]int{}
	for _, failure := range failures {
		key := strings.Join(hint.All(failure), "\x00")
		at, known := place[key]
		if !known || key == "" {
			at = len(groups)
			place[key] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], failure)
	}
	return groups
}
