package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"bitbucket-oidc/internal/filelock"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

// File is a file of JSON Lines in the build directory, to which every command appends.
type File struct {
	BuildDir string
	Name     string // below BuildDir, clean, with slashes

	// Own gives a new file to the owner of the step's files.
	Own func(*os.File) error

	// Synced waits until the records are on the disk. Without it they are safe if this process is killed, and not safe if the machine
	// stops; but then the step and its build directory are lost as well. On a disk of its own the wait is longer than a login takes.
	Synced bool
}

const fileMode fs.FileMode = 0o600

// Check fails if the name stands for something that records cannot be appended to. It creates nothing.
func (f *File) Check() error {
	if err := f.check(); err != nil {
		return fmt.Errorf("RECORD_FILE: %w", err)
	}
	return nil
}

func (f *File) check() error {
	root, err := nowait.Folder(f.BuildDir)
	if err != nil {
		return hint.New("the build directory cannot be read", "the build directory must be readable for the pipe's user")
	}
	defer root.Close()
	if err := f.checkWay(root); err != nil {
		return err
	}
	info, err := root.Lstat(f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && (!info.Mode().IsRegular() || twice(info)) {
		err = nowait.ErrKind
	}
	return f.wrong(err)
}

// twice reports whether a file has a second name, which may belong to anybody.
func twice(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink > 1
}

// checkWay refuses a link on the way to the file: the checkout could bring one.
func (f *File) checkWay(root *os.Root) error {
	for dir := path.Dir(f.Name); dir != "."; dir = path.Dir(dir) {
		info, err := root.Lstat(dir)
		switch {
		case err != nil:
			return hint.New(dir+" is not there", "make the folder before the pipe runs, or name a file in a folder that is there")
		case !info.IsDir():
			return hint.New(dir+" is not a folder", "name a file in a folder of the build directory; a link could lead elsewhere")
		}
	}
	return nil
}

func (f *File) wrong(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nowait.ErrKind), errors.Is(err, syscall.EISDIR):
		return hint.New(f.Name+" is not a regular file, or has a second name", "name a file that only records are written to")
	}
	return f.broke(err)
}

// broke is the error of a file that cannot be written, with its name and a hint.
func (f *File) broke(err error) error {
	return hint.With(fmt.Errorf("%s: %w", f.Name, cause(err)), "the disk must have room, and the file must be writable for the pipe's user")
}

// take appends the lines by one write. The lock keeps two logins apart, so a write that a full disk cut short can be taken back.
func (f *File) take(ctx context.Context, b batch) (err error) {
	root, err := nowait.Folder(f.BuildDir)
	if err != nil {
		return f.broke(err)
	}
	defer root.Close()
	if err := f.checkWay(root); err != nil {
		return err
	}
	file, err := f.open(root)
	if err != nil {
		return err
	}
	defer func() {
		if failed := file.Close(); failed != nil && err == nil {
			err = f.broke(failed) // a disk behind a network reports only now that it is full
		}
	}()
	switch err := filelock.Wait(ctx, file); {
	case errors.Is(err, filelock.ErrHeld):
		return hint.New("another login is writing to the file", "give each login a RECORD_FILE of its own")
	case err != nil:
		return f.broke(err)
	}
	info, err := file.Stat()
	if err != nil {
		return f.broke(err)
	}
	if info.Mode().Perm() != fileMode {
		if err := file.Chmod(fileMode); err != nil {
			return f.broke(err)
		}
	}
	var lines strings.Builder
	if size := info.Size(); size > 0 {
		last := []byte{0}
		if _, err := file.ReadAt(last, size-1); err == nil && last[0] != '\n' {
			lines.WriteByte('\n') // what a process that was killed has left stays a line of its own
		}
	}
	lines.Write(b.lines())
	if _, err = file.WriteString(lines.String()); err != nil {
		_ = file.Truncate(info.Size())
		return f.broke(err)
	}
	if f.Synced {
		if err := file.Sync(); err != nil {
			return f.broke(err)
		}
	}
	return nil
}

// open opens the file, or makes it.
func (f *File) open(root *os.Root) (*os.File, error) {
	file, made, err := nowait.AppendIn(root, f.Name, fileMode)
	if err != nil {
		return nil, f.wrong(err)
	}
	if made && f.Own != nil {
		if err := f.Own(file); err != nil {
			_ = file.Close()
			return nil, f.broke(err)
		}
	}
	if info, err := file.Stat(); err != nil || twice(info) {
		_ = file.Close()
		return nil, f.wrong(nowait.ErrKind)
	}
	return file, nil
}

// lines are the records, each with its line break.
func (b batch) lines() []byte {
	var lines []byte
	for _, e := range b.events {
		lines = append(append(lines, e.Line()...), '\n')
	}
	return lines
}

// cause is what went wrong with a file, without its path.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
