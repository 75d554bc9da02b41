package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

// giveOldFolders gives the folders on the way to the owner: an earlier login may have made them for another owner.
func (w *writer) giveOldFolders(context.Context) error {
	for _, dir := range w.past.Made {
		if slices.Contains(w.way(), dir) {
			if err := w.giveFolder(w.clone, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownFolder sets the mode and the owner, which otherwise depend on the umask and the process's user.
func (w *writer) ownFolder(root *os.Root, name string) error {
	f, err := nowait.Handle(root, name)
	if errors.Is(err, fs.ErrPermission) && root.Chmod(name, dirMode) == nil { // the umask keeps its own user out
		f, err = nowait.Handle(root, name)
	}
	if err == nil {
		err = errors.Join(f.Chmod(dirMode), w.Own(f), f.Close())
	}
	return failure(name, err)
}

// Own gives an open file or folder to the owner of the directory's files. By its name, something else could be given away in its
// place.
func (d *Dir) Own(f *os.File) error {
	if !d.setOwner {
		return nil
	}
	return d.given(f.Chown(d.owner.UID, d.owner.GID))
}

// giveFolder gives a folder of an earlier login to the owner.
func (w *writer) giveFolder(root *os.Root, name string) error {
	f, err := nowait.Handle(root, name)
	if err == nil {
		err = errors.Join(w.Own(f), f.Close())
	}
	return failure(name, err)
}

// giveLink gives a link in the output directory to the owner.
func (w *writer) giveLink(name string) error {
	if !w.setOwner {
		return nil
	}
	return failure(name, w.given(chownLink(w.lock, name, w.owner)))
}

// given is the error of a change of the owner.
func (d *Dir) given(err error) error {
	if err == nil {
		return nil
	}
	denied := errors.Is(err, fs.ErrPermission)
	err = fmt.Errorf("giving it to user %d: %w", d.owner.UID, cause(err))
	if denied {
		return hint.With(err, "set OUTPUT_OWNER to a user that the pipe may give files to, such as its own: OUTPUT_OWNER: '0:0'")
	}
	return err
}

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink)
	}
	return 1
}
