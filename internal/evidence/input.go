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
}

// An input is an open source. It notes what goes through it.
type input struct {
	io.Reader
	file   *os.File
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

// open opens a regular file, which may be compressed by gzip.
func open(name string) (*input, error) {
	f, err := nowait.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, unreadable(name, errors.New("not a regular file"))
	}
	in := &input{file: f, raw: &counter{from: f, sum: sha256.New()}, source: source{Path: name}}
	buffered := bufio.NewReaderSize(in.raw, 1<<20)
	in.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if in.Reader, err = gzip.NewReader(buffered); err != nil {
			_ = f.Close()
			return nil, unreadable(name, errors.New("not gzip, though it begins like it"))
		}
	}
	return in, nil
}

// close reads what is left, so that the digest is that of the whole file.
func (in *input) close() error {
	_, err := io.Copy(io.Discard, in.raw)
	in.source.Bytes, in.source.SHA256 = in.raw.bytes, hex.EncodeToString(in.raw.sum.Sum(nil))
	return errors.Join(err, in.file.Close())
}

// maxLine bounds a record. What is longer is none.
const maxLine = 1 << 20

// A block is some lines of a source, one after the other.
type block struct {
	first int // the number of the first line
	lines [][]byte
}

// blocks cuts the source into blocks. A line that is too long is an empty one in its block, which is no record.
func (in *input) blocks(yield func(block) bool) error {
	const size = 256 << 10
	reader := bufio.NewReaderSize(in.Reader, 64<<10)
	number := 1
	for {
		b, filled := block{first: number}, 0
		var err error
		for filled < size && err == nil {
			var data []byte
			data, err = readLine(reader)
			if len(data) == 0 && err != nil {
				break
			}
			b.lines = append(b.lines, data)
			filled += len(data)
			number++
		}
		if len(b.lines) > 0 && !yield(b) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine reads a line with its break. Of one that is too long it gives the beginning, which is no JSON.
func readLine(r *bufio.Reader) ([]byte, error) {
	var data []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(data) < maxLine {
			data = append(data, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return data, err
		}
	}
}
