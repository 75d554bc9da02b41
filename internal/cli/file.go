package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/visible"
)

// maxFile bounds what is read. The trust policies of an account's 5,000 roles, the most that AWS grants, take less.
const maxFile = 32 << 20

// longestLine bounds a line of a file that has many.
const longestLine = 16 << 20

// longestFirst bounds the first line, by which such a file is known.
const longestFirst = 64 << 10

// ErrEmpty is a file with nothing in it.
var ErrEmpty = errors.New("empty")

// ReadFile reads a file that the command line names, or standard input for a dash. Standard input, pipes and devices may never
// end: ctx bounds the wait. The file must not be empty.
func ReadFile(ctx context.Context, name string) ([]byte, error) { return ReadLines(ctx, name, nil) }

// ReadLines is [ReadFile] for a file that may be longer if it has one JSON value on each line: cut then shortens each line to what is
// needed, and all of that together must fit.
func ReadLines(ctx context.Context, name string, cut func(line []byte) []byte) ([]byte, error) {
	data, err := Await(ctx, func() ([]byte, error) { return readAll(name, cut) })
	if errors.Is(err, ErrUnfinished) {
		err = errors.New(Ended(ctx, "reading it did not finish within TIMEOUT"))
	}
	return data, unreadable(name, err)
}

// WriteFile writes a file that a flag names, and replaces what it holds. A command that reads the file while it is written
// may see a part of it. ctx bounds the wait for a pipe that nobody reads from.
func WriteFile(ctx context.Context, flag, name, text string) error {
	_, err := Await(ctx, func() (int, error) {
		f, err := nowait.Create(name)
		if err != nil {
			return 0, err
		}
		n, err := io.WriteString(f, text)
		return n, errors.Join(err, f.Close())
	})
	if errors.Is(err, ErrUnfinished) {
		err = errors.New(Ended(ctx, "writing it did not finish within TIMEOUT"))
	}
	return unwritable(flag, name, err)
}

func unwritable(flag, name string, err error) error {
	if err == nil {
		return nil
	}
	return hint.With(fmt.Errorf("--%s %s: %w", flag, visible.Text(name), reason(err)), "give a file in a folder that exists and that this user may write to")
}

func readAll(name string, cut func([]byte) []byte) ([]byte, error) {
	file := os.Stdin
	if name != "-" {
		f, err := nowait.Open(name) // a named pipe that nobody writes to is empty
		if err != nil {
			return nil, err
		}
		defer f.Close()
		file = f
	}
	data, err := readShort(file, cut)
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("more than %d MiB", maxFile>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, ErrEmpty
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}

// readShort reads up to maxFile, and one byte more of a longer file. It keeps what cut leaves of lines of JSON, so that far larger
// files fit.
func readShort(file io.Reader, cut func([]byte) []byte) ([]byte, error) {
	if cut == nil {
		return io.ReadAll(io.LimitReader(file, maxFile+1))
	}
	r := bufio.NewReaderSize(file, longestFirst)
	head, _ := r.Peek(longestFirst) // less where there is less
	if line, rest, _ := bytes.Cut(head, []byte("\n")); len(bytes.TrimSpace(rest)) == 0 || !json.Valid(line) {
		return io.ReadAll(io.LimitReader(r, maxFile+1))
	}
	var short []byte
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	for lines.Scan() && len(short) <= maxFile {
		short = append(append(short, cut(lines.Bytes())...), '\n') // empty lines too, so that errors name the right ones
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("a line of more than %d MiB", longestLine>>20)
	}
	return short, lines.Err()
}

// unreadable says which file, and why.
func unreadable(name string, err error) error {
	if err == nil {
		return nil
	}
	if name == "-" {
		name = "standard input"
	}
	return hint.With(fmt.Errorf("%s: %w", visible.Text(name), reason(err)), "give a file that can be read whole, or - for standard input")
}

// reason is an error without the operation and the name that package os adds.
func reason(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
