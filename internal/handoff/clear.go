package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/nowait"
)

// emptied says which files are emptied before they are removed: a hard link that a command made would keep the contents.
type emptied func(info fs.FileInfo) bool

// always is for logout. A login empties only what is [copied]: a command may still read what the login replaces.
func always(fs.FileInfo) bool { return true }

func copied(info fs.FileInfo) bool { return links(info) > 1 }

// discard removes an entry of the output directory that is login's own.
func (w *writer) discard(e fs.DirEntry, which emptied) error {
	if e.IsDir() {
		return w.clear(e.Name(), which)
	}
	return failure(e.Name(), w.out.Remove(e.Name()))
}

// wipe removes a file that login wrote, and its contents. A file that cannot be removed is emptied.
func (w *writer) wipe(name string, which emptied) error {
	err := w.empty(name, which)
	removed := w.out.Remove(name)
	switch {
	case removed == nil, errors.Is(removed, fs.ErrNotExist):
		return nil
	case err == nil && w.empty(name, always) == nil:
		return fmt.Errorf("%s: it was emptied, but stays: %w", name, cause(removed))
	}
	return failure(name, removed)
}

// empty empties a file that may be emptied. If the process may write the files of every user, a file with another owner than its folder
// counts as a second name of somebody else's file.
func (w *writer) empty(name string, which emptied) error {
	f, err := nowait.OpenIn(w.out, name, os.O_WRONLY)
	if errors.Is(err, fs.ErrPermission) && w.out.Chmod(name, fileMode) == nil {
		f, err = nowait.OpenIn(w.out, name, os.O_WRONLY)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	folder, err := w.out.Lstat(path.Dir(name))
	if err != nil {
		return err
	}
	if ownerOf(info) != ownerOf(folder) && (ownerOf(info) != os.Geteuid() || mayGiveAway()) {
		return errForeign
	}
	if !which(info) {
		return nil
	}
	return f.Truncate(0)
}

// clear removes a generation with everything in it, also what others have put there. It needs few descriptors, however deep the folders
// are nested: a folder in a folder first moves up, into the generation itself.
func (w *writer) clear(generation string, which emptied) error {
	own := w.ownIn(generation)
	var errs []error
	for folders := []string{"."}; len(folders) > 0; folders = folders[1:] {
		dir := folders[0]
		openUp(w.out, path.Join(generation, dir))
		entries, err := nowait.List(w.out, path.Join(generation, dir))
		if err != nil {
			errs = append(errs, failure(path.Join(generation, dir), err))
			continue
		}
		before := len(errs)
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			below, err := w.clearEntry(generation, name, e, own(name), which)
			if err != nil {
				errs = append(errs, err)
			} else if below != "" {
				folders = append(folders, below)
			}
		}
		if dir != "." && len(errs) == before {
			if err := w.out.Remove(path.Join(generation, dir)); err != nil {
				errs = append(errs, failure(path.Join(generation, dir), err))
			}
		}
	}
	if len(errs) == 0 {
		return failure(generation, w.out.Remove(generation))
	}
	return errors.Join(errs...)
}

// clearEntry removes a file, or returns the place of a folder that must be cleared.
func (w *writer) clearEntry(generation, name string, e fs.DirEntry, own bool, which emptied) (folder string, err error) {
	at := path.Join(generation, name)
	switch {
	case e.IsDir() && !strings.Contains(name, "/"):
		return name, nil
	case e.IsDir():
		up := strings.Replace(newGeneration(), generationPrefix, ".deep-", 1)
		openUp(w.out, at) // or its parent cannot change
		if err := w.out.Rename(at, path.Join(generation, up)); err == nil {
			return up, nil
		}
		return "", failure(at, w.out.Remove(at)) // it may be empty
	case own:
		return "", w.wipe(at, which)
	}
	return "", failure(at, w.out.Remove(at))
}

// ownIn returns a function that reports whether a file below a generation is one that login wrote. If the generation's state is gone,
// the name decides, except for a foreign file that the generation in use has as well.
func (w *writer) ownIn(generation string) func(path string) bool {
	if p, err := stateOf(w.out, generation); err == nil {
		return p.wrote
	}
	inUse, err := w.out.Readlink(current)
	shared := func(path string) bool {
		here, err1 := w.out.Lstat(generation + "/" + path)
		there, err2 := w.out.Lstat(inUse + "/" + path)
		return err == nil && generation != inUse && err1 == nil && err2 == nil && os.SameFile(here, there)
	}
	return func(path string) bool {
		folder, file, below := strings.Cut(path, "/")
		if !below {
			return path == envFile || path == summaryFile || path == stateFile
		}
		return (path == dockerFile || isBackend(folder) && charset.Only(file, charset.LowerName+".", 1, 64)) && !shared(path)
	}
}

// openUp gives the process's user all rights to a folder of its own: a careless command may have taken them away. If that fails, the
// use of the folder fails later and says why.
func openUp(root *os.Root, name string) {
	f, err := nowait.Handle(root, name)
	if err != nil {
		if info, err := root.Lstat(name); err == nil && info.IsDir() && ownerOf(info) == os.Geteuid() {
			_ = root.Chmod(name, dirMode|info.Mode().Perm())
		}
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && ownerOf(info) == os.Geteuid() && info.Mode().Perm()&dirMode != dirMode {
		_ = f.Chmod(dirMode | info.Mode().Perm())
	}
}

// openUpFile gives the process's user the right to read a file of its own.
func openUpFile(root *os.Root, name string) {
	if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() && ownerOf(info) == os.Geteuid() && info.Mode().Perm()&0o400 == 0 {
		_ = root.Chmod(name, fileMode)
	}
}
