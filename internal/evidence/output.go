package evidence

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitbucket-oidc/internal/hint"
)

// files are those of a package, in the order of the manifest, which is the last one.
func files() []string {
	return []string{
		"controls.csv", "exceptions.csv", "ipe.json", "oscal.json", "population.csv", "report.html", "samples.csv", manifest,
	}
}

const (
	manifest    = "manifest.sha256"
	draftPrefix = ".bitbucket-oidc-draft-"
)

// An output is the folder of a package. Its files are written beside their names and take them at the end.
type output struct {
	dir     string
	drafts  map[string]string // by the file's name
	spooled *os.File
}

// create makes the folder. A folder that holds something other than a package is refused.
func create(dir string) (*output, error) {
	refuse := func(what string) error {
		return hint.New("--out: "+what, "name a folder that is not there yet, or one with an earlier package in it")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, refuse("not a folder that can be written")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, refuse("not a folder that can be read")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), draftPrefix) && e.Type().IsRegular() { // of a run that was killed
			_ = os.Remove(filepath.Join(dir, e.Name()))
			continue
		}
		if !slices.Contains(files(), e.Name()) || !e.Type().IsRegular() {
			return nil, refuse("a folder that holds something other than a package")
		}
	}
	return &output{dir: dir, drafts: map[string]string{}}, nil
}

func (o *output) draft() (*os.File, error) {
	f, err := os.CreateTemp(o.dir, draftPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.dir, cause(err))
	}
	return f, nil
}

// write writes one file of the package.
func (o *output) write(name string, fill func(*bufio.Writer) error) error {
	f, err := o.draft()
	if err != nil {
		return err
	}
	o.drafts[name] = f.Name()
	w := bufio.NewWriterSize(f, 256<<10)
	if err := errors.Join(fill(w), w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	return nil
}

// commit writes the manifest and gives all files their names, the manifest last: an incomplete package does not match the manifest.
func (o *output) commit() error {
	err := o.write(manifest, func(w *bufio.Writer) error {
		for _, name := range files() {
			if name == manifest {
				continue
			}
			sum, err := digest(o.drafts[name])
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%s  %s\n", sum, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range files() {
		if err := os.Rename(o.drafts[name], filepath.Join(o.dir, name)); err != nil {
			return fmt.Errorf("%s: %w", name, cause(err))
		}
		delete(o.drafts, name)
	}
	return nil
}

// close removes what was not finished.
func (o *output) close() {
	for _, draft := range o.drafts {
		_ = os.Remove(draft)
	}
	if o.spooled != nil {
		_ = o.spooled.Close()
	}
	_ = os.Remove(o.dir) // if it is empty
}

func digest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := bufio.NewReaderSize(f, 256<<10).WriteTo(sum); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// A spool holds rows until they are written in order. Its file has no name, so nothing is left of it.
type spool struct {
	file *os.File
	w    *bufio.Writer
	size int64

	window []byte // what was read last
	ahead  int64  // where it begins
	next   int64  // the end of the last row
}

func (o *output) spool() (*spool, error) {
	f, err := o.draft()
	if err != nil {
		return nil, err
	}
	o.spooled = f
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("%s: %w", o.dir, cause(err))
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, 256<<10)}, nil
}

func (s *spool) append(row []byte) (at int64, err error) {
	at = s.size
	s.size += int64(len(row))
	if _, err := s.w.Write(row); err != nil {
		return 0, fmt.Errorf("the folder of the package: %w", cause(err))
	}
	return at, nil
}

func (s *spool) flush() error {
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("the folder of the package: %w", cause(err))
	}
	return nil
}

// read reads a row, which is good until the next call. Rows in their order are read many at a time.
func (s *spool) read(at int64, length int) ([]byte, error) {
	if from := at - s.ahead; from >= 0 && from+int64(length) <= int64(len(s.window)) {
		s.next = at + int64(length)
		return s.window[from:][:length], nil
	}
	size := length
	if at == s.next {
		size = max(length, int(min(blockSize, s.size-at)))
	}
	s.window = slices.Grow(s.window[:0], size)[:size]
	s.ahead, s.next = at, at+int64(length)
	if _, err := s.file.ReadAt(s.window, at); err != nil {
		s.window = nil
		return nil, err
	}
	return s.window[:length], nil
}
