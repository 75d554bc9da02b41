// Package nowait opens files and folders without ever waiting for them. A name in the build directory can be anything, and something
// else a moment later: a named pipe, where opening waits for a writer; a device that never ends; a link. So each function opens
// first, in a way that cannot wait, and then checks what it has opened.
package nowait

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// ErrKind means that a name is something other than expected: not a regular file, not a folder, or a link where no link is
// followed.
var ErrKind = errors.New("not a regular file")

// ErrSize is a file that is larger than its reader takes.
var ErrSize = errors.New("too large")

// Open opens anything: reading from a pipe or a device may still wait.
func Open(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) }

// Create opens a file to replace what it holds. Its name must not be a link: in a checkout it could lead to any
// file of the user who runs the program.
func Create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, errors.New("a link")
	case errors.Is(err, syscall.ENXIO):
		return nil, errors.New("a pipe that nobody reads from")
	}
	return f, err
}

// Read reads a regular file of at most so many bytes. It follows links.
func Read(path string, most int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return whole(f, most)
}

// ReadIn reads a regular file below root, of at most so many bytes. The last name of its path must not be a link.
func ReadIn(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := OpenIn(root, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return whole(f, most)
}

// OpenIn opens a regular file below root, to be read or changed; flag is [os.O_RDONLY], [os.O_WRONLY], or [os.O_RDWR] with
// [os.O_APPEND]. The last name of its path must not be a link.
func OpenIn(root *os.Root, name string, flag int) (*os.File, error) {
	f, err := root.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) { // a pipe that nobody reads, or a socket
		return nil, ErrKind
	}
	return named(root, name, f, err, fs.FileMode.IsRegular)
}

// AppendIn opens a regular file below root, to be read and appended to, or makes it with this mode, and reports whether it did. The
// last name of its path must not be a link.
func AppendIn(root *os.Root, name string, mode fs.FileMode) (f *os.File, made bool, err error) {
	const flag = os.O_RDWR | os.O_APPEND
	f, err = OpenIn(root, name, flag)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	f, err = root.OpenFile(name, flag|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) { // somebody else made it, or it is a link that leads nowhere
		f, err = OpenIn(root, name, flag)
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrKind
		}
		return f, false, err
	}
	return f, err == nil, err
}

// Handle opens a folder below root, to lock it, list it, or change its mode and owner. The last name of its path must not be a
// link.
func Handle(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	return named(root, name, f, err, fs.FileMode.IsDir)
}

// named returns an open file if it is of the right kind and its name still stands for it: [os.Root] follows links.
func named(root *os.Root, name string, f *os.File, err error, kind func(fs.FileMode) bool) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil {
		var now fs.FileInfo
		if now, err = root.Lstat(name); err == nil && (!kind(opened.Mode()) || !os.SameFile(opened, now)) {
			err = ErrKind
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func whole(f *os.File, most int64) ([]byte, error) {
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, ErrKind
	} else if info.Size() > most {
		return nil, ErrSize
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if int64(len(data)) > most {
		return nil, ErrSize
	}
	return data, err
}

// Folder opens a folder. It follows links.
func Folder(path string) (*os.Root, error) { return os.OpenRoot(path + "/.") } // of anything but a folder, "." cannot be opened

// FolderIn opens a folder below root. It follows links that stay below root.
func FolderIn(root *os.Root, name string) (*os.Root, error) { return root.OpenRoot(name + "/.") }

// List is the entries of a folder below root, in order. [fs.ReadDir] would refuse names that are not UTF-8.
func List(root *os.Root, name string) ([]fs.DirEntry, error) {
	f, err := Handle(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}
