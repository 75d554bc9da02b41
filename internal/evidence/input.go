package evidence

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitbucket-oidc/internal/nowait"
)

// A source is a file that was read.
type source struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Lines  int    `json:"lines"` // of records, those that cannot be read included; events, for CloudTrail
	First  string `json:"first,omitempty"`
	Last   string `json:"last,omitempty"`

	first, last int64 // in milliseconds
}

// saw notes the time of a record.
func (s *source) saw(millis int64) {
	if s.first == 0 || millis < s.first {
		s.first = millis
	}
	s.last = max(s.last, millis)
}

// A file is an input by its name, and by what the package calls it.
type file struct{ name, shown string }

// named are the files of a list in one order, because shells differ in the order of a*. The package names them below their common
// folder: the same files in another place make the same package.
func named(names []string) []file {
	var all []file
	for _, name := range names {
		all = append(all, file{name, filepath.Clean(name)})
	}
	slices.SortStableFunc(all, func(a, b file) int { return strings.Compare(a.shown, b.shown) })
	if len(all) == 0 {
		return nil
	}
	folder := filepath.Dir(all[0].shown) + "/"
	for _, f := range all {
		for folder != "./" && folder != "//" && !strings.HasPrefix(f.shown, folder) {
			folder = filepath.Dir(strings.TrimSuffix(folder, "/")) + "/"
		}
	}
	for i := range all {
		all[i].shown = strings.TrimPrefix(all[i].shown, folder)
	}
	return all
}

// An input is an open source. It notes what goes through it.
type input struct {
	io.Reader
	name   string
	file   io.Closer
	raw    *counter
	source source
}

type counter struct {
	from  io.Reader
	bytes int64
	sum   hash.Hash
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.bytes += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

// open opens a regular file, or standard input for a dash. It may be compressed by gzip, and begin with a byte order mark.
func open(from file, stdin io.Reader) (*input, error) {
	f := io.NopCloser(stdin)
	if from.name != "-" {
		regular, err := openFile(from.name)
		if err != nil {
			return nil, unreadable(from.name, err)
		}
		f = regular
	}
	in := &input{name: from.name, file: f, raw: &counter{from: f, sum: sha256.New()}, source: source{Path: from.shown}}
	buffered := bufio.NewReaderSize(in.raw, 64<<10)
	if magic, err := buffered.Peek(2); err == nil && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		plain, err := gzip.NewReader(buffered)
		if err != nil {
			_ = f.Close()
			return nil, unreadable(from.name, errors.New("not gzip, though it begins like it"))
		}
		buffered = bufio.NewReaderSize(plain, 64<<10)
	}
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	in.Reader = buffered
	return in, nil
}

func openFile(name string) (*os.File, error) {
	f, err := nowait.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, errors.New("not a regular file")
	}
	return f, nil
}

// openable reports every input that cannot be opened, before the others are read for a long time.
func openable(files []file, stdin io.Reader) error {
	var errs []error
	for _, f := range slices.Compact(files) {
		if f.name == "-" {
			if stdin == nil {
				errs = append(errs, unreadable(f.name, errors.New("there is none")))
			}
			continue
		}
		in, err := open(f, nil)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_ = in.file.Close()
	}
	return errors.Join(errs...)
}

// close reads what is left, so that the digest is that of the whole file.
func (in *input) close() error {
	_, err := io.Copy(io.Discard, in.raw)
	in.source.Bytes, in.source.SHA256 = in.raw.bytes, hex.EncodeToString(in.raw.sum.Sum(nil))
	in.source.First, in.source.Last = stamp(in.source.first), stamp(in.source.last)
	return errors.Join(err, in.file.Close())
}

// maxLine bounds a record. A longer line is not a record.
const maxLine = 1 << 20

// blockSize is about how much is read at once.
const blockSize = 256 << 10

// A block is some lines of a source, one after the other.
type block struct {
	first int // the number of the first line
	data  []byte
}

// lines are the lines of the block, without their breaks and the space around. A line that is too long comes as a text that is not a
// record.
func (b block) lines(yield func([]byte) bool) {
	for data := b.data; len(data) > 0; {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		if data = rest; len(line) > maxLine {
			line = []byte("too long")
		}
		if !yield(bytes.TrimSpace(line)) {
			return
		}
	}
}

// blocks cuts the source into blocks of whole lines. A line that is too long is read to its end, and the part beyond the limit is
// dropped. buffer gives memory for a block.
func (in *input) blocks(buffer func() []byte, yield func(block) bool) error {
	number := 1
	var rest []byte // the beginning of a line
	for {
		data := append(buffer()[:0], rest...)
		data, err := fill(in.Reader, data, max(blockSize, len(rest)+blockSize/2))
		cut := bytes.LastIndexByte(data, '\n') + 1
		if end := errors.Is(err, io.EOF); end {
			cut = len(data)
		} else if err != nil {
			return err
		}
		if cut == 0 && len(data) > 2*maxLine {
			data = data[:maxLine+1]
		}
		rest = append(rest[:0], data[cut:]...)
		b := block{number, data[:cut]}
		number += bytes.Count(b.data, []byte{'\n'})
		if cut > 0 && !yield(b) || err != nil {
			return nil
		}
	}
}

// fill reads until data has this size or the source ends.
func fill(r io.Reader, data []byte, size int) ([]byte, error) {
	data = slices.Grow(data, size-len(data))
	for len(data) < size {
		n, err := r.Read(data[len(data):size])
		if data = data[:len(data)+n]; err != nil {
			return data, err
		}
	}
	return data, nil
}
