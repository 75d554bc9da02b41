package handoff

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600

	ignoreFile = ".gitignore"
	ignoreAll  = "*\n"

	// stagedLink begins the name of the link that becomes .current.
	stagedLink = ".new-"
)

// Write hands the grants over: their backends' folders replace those of an earlier login, other backends stay. It is done
// when it returns nil; with an error everything is as it was before.
func (d *Dir) Write(ctx context.Context, token oidc.Token, grants []federation.Grant) error {
	var fresh []backend
	for _, g := range grants {
		b, err := fromGrant(g)
		if err != nil {
			return err
		}
		fresh = append(fresh, b)
	}
	w := &writer{Dir: d}
	err := w.write(ctx, token, fresh)
	if err != nil {
		w.undo()
	}
	w.close()
	if err != nil && len(hint.All(err)) == 0 {
		err = hint.With(err, "the build directory must be writable for the pipe's user and must have space; nothing was changed")
	}
	if err != nil {
		return fmt.Errorf("writing to %s: %w", d.relative, err)
	}
	return nil
}

// A writer makes one change. It notes what it made, so that it can undo it.
type writer struct {
	*Dir
	clone, out *os.Root
	lock       *os.File
	madeDirs   []string // below the build directory
	made       []string // below the output directory
}

func (w *writer) write(ctx context.Context, token oidc.Token, fresh []backend) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	previous, kept, err := earlier(w.out)
	if err != nil {
		return err
	}
	if err := w.clearLeftovers(previous); err != nil {
		return err
	}
	backends := merge(kept, fresh)
	generation, err := w.generation(token, backends)
	if err != nil {
		return err
	}
	if err := w.ignore(); err != nil {
		return err
	}
	names := []string{"env.sh", "summary.json"}
	for _, b := range backends {
		names = append(names, b.Name)
	}
	if hasLogins(backends) {
		names = append(names, "docker")
	}
	for _, name := range names {
		if err := w.link(name); err != nil {
			return err
		}
	}
	staged := stagedLink + strings.TrimPrefix(generation, generationPrefix)
	if err := w.symlink(generation, staged); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return errors.New("stopped before the change was made")
	}
	if err := w.out.Rename(staged, current); err != nil {
		return fmt.Errorf("%s: %w", current, cause(err))
	}
	// The change is made. What is left to clear is cleared by the next login if it cannot be cleared now.
	w.made, w.madeDirs = nil, nil
	if previous != "" {
		_ = w.out.RemoveAll(previous)
	}
	if !hasLogins(backends) {
		_ = w.unlink("docker")
	}
	return nil
}

// open makes the output directory if need be, and locks it against other logins.
func (w *writer) open(ctx context.Context) error {
	if err := w.checkWay(); err != nil {
		return err
	}
	var err error
	if w.clone, err = os.OpenRoot(w.Dir.clone); err != nil {
		return cause(err)
	}
	for {
		for _, step := range w.way() {
			err := w.clone.Mkdir(step, dirMode)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", step, cause(err))
			}
			w.madeDirs = append(w.madeDirs, step)
			if err := w.own(w.clone, step, dirMode); err != nil {
				return err
			}
		}
		if w.out, err = w.clone.OpenRoot(w.relative); err != nil {
			return cause(err)
		}
		if w.lock, err = w.out.Open("."); err != nil {
			return cause(err)
		}
		if err := lock(ctx, w.lock); err != nil {
			return err
		}
		// A login that failed meanwhile may have removed the directory that it had made.
		locked, err := w.lock.Stat()
		if err != nil {
			return cause(err)
		}
		if now, err := w.clone.Lstat(w.relative); err == nil && os.SameFile(locked, now) {
			return nil
		}
		w.closeOut()
	}
}

// lock waits for the lock on f. A process that is killed gives its lock up.
func lock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("locking it: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("another login holds it")
		}
	}
}

// clearLeftovers removes what a login that was killed has left.
func (w *writer) clearLeftovers(previous string) error {
	entries, err := fs.ReadDir(w.out.FS(), ".")
	if err != nil {
		return cause(err)
	}
	for _, e := range entries {
		leftover := e.Name() != previous && (isGeneration(e.Name()) || strings.HasPrefix(e.Name(), stagedLink))
		if !leftover || !w.wrote(e) {
			continue
		}
		if err := w.out.RemoveAll(e.Name()); err != nil {
			return fmt.Errorf("clearing %s: %w", e.Name(), cause(err))
		}
	}
	return nil
}

// generation writes the files of all backends into a new folder and returns its name.
func (w *writer) generation(token oidc.Token, backends []backend) (string, error) {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	name := generationPrefix + hex.EncodeToString(id[:])
	if err := w.mkdir(name); err != nil {
		return "", err
	}
	for _, b := range backends {
		if err := w.mkdir(name + "/" + b.Name); err != nil {
			return "", err
		}
		for _, f := range b.files {
			if err := w.file(name+"/"+f.Path, []byte(f.Data.Reveal())); err != nil {
				return "", err
			}
		}
	}
	type plain struct {
		name string
		data []byte
	}
	rest := []plain{
		{stateFile, marshal(state{stateVersion, backends})},
		{"summary.json", summaryFile(token, backends)},
		{"env.sh", w.envFile(backends)},
	}
	if hasLogins(backends) {
		if err := w.mkdir(name + "/docker"); err != nil {
			return "", err
		}
		rest = append(rest, plain{dockerFile, dockerFileOf(backends)})
	}
	for _, f := range rest {
		if err := w.file(name+"/"+f.name, f.data); err != nil {
			return "", err
		}
	}
	return name, nil
}

func (w *writer) mkdir(name string) error {
	if err := w.out.Mkdir(name, dirMode); err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	w.made = append(w.made, name)
	return w.own(w.out, name, dirMode)
}

func (w *writer) file(name string, data []byte) error {
	f, err := w.out.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	w.made = append(w.made, name)
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	return w.own(w.out, name, fileMode)
}

// own sets what the umask and the process's user would decide otherwise.
func (w *writer) own(root *os.Root, name string, mode fs.FileMode) error {
	if err := root.Chmod(name, mode); err != nil {
		return fmt.Errorf("%s: setting its mode: %w", name, cause(err))
	}
	return w.chown(root, name)
}

func (w *writer) chown(root *os.Root, name string) error {
	if !w.setOwner {
		return nil
	}
	if err := root.Lchown(name, w.owner.UID, w.owner.GID); err != nil {
		return hint.With(fmt.Errorf("%s: giving it to user %d: %w", name, w.owner.UID, cause(err)),
			"set OUTPUT_OWNER to a user that the pipe may give files to, such as its own: OUTPUT_OWNER: '0:0'")
	}
	return nil
}

// ignore keeps git away from everything here.
func (w *writer) ignore() error {
	info, err := w.out.Lstat(ignoreFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w.file(ignoreFile, []byte(ignoreAll))
	case err != nil:
		return fmt.Errorf("%s: %w", ignoreFile, cause(err))
	case !info.Mode().IsRegular():
		return inTheWay(ignoreFile)
	}
	data, err := readFile(w.out, ignoreFile)
	if err != nil || strings.TrimSpace(string(data)) != strings.TrimSpace(ignoreAll) {
		return inTheWay(ignoreFile)
	}
	return nil
}

// link makes one of the names that users know. Before the change it leads nowhere.
func (w *writer) link(name string) error {
	target := current + "/" + name
	info, err := w.out.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w.symlink(target, name)
	case err != nil:
		return fmt.Errorf("%s: %w", name, cause(err))
	case info.Mode()&fs.ModeSymlink == 0:
		return inTheWay(name)
	}
	if have, err := w.out.Readlink(name); err != nil || have != target {
		return inTheWay(name)
	}
	return nil
}

// unlink removes one of the names that users know, if it is login's own.
func (w *writer) unlink(name string) error {
	if target, err := w.out.Readlink(name); err != nil || target != current+"/"+name {
		return nil
	}
	return w.out.Remove(name)
}

func inTheWay(name string) error {
	return hint.New(name+" is in the way and was not written by login",
		"remove it from the checkout, or set OUTPUT_DIR to another folder: files that are not login's own are left alone")
}

func (w *writer) symlink(target, name string) error {
	if err := w.out.Symlink(target, name); err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	w.made = append(w.made, name)
	return w.chown(w.out, name)
}

// undo removes what was made, the last first.
func (w *writer) undo() {
	for _, name := range slices.Backward(w.made) {
		_ = w.out.Remove(name)
	}
	for _, step := range slices.Backward(w.madeDirs) {
		_ = w.clone.Remove(step)
	}
}

func (w *writer) closeOut() {
	if w.lock != nil {
		_ = w.lock.Close()
	}
	if w.out != nil {
		_ = w.out.Close()
	}
	w.lock, w.out = nil, nil
}

func (w *writer) close() {
	w.closeOut()
	if w.clone != nil {
		_ = w.clone.Close()
	}
}
