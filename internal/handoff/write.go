package handoff

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
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

// Write hands the grants over: the folders of their backends replace those of an earlier login, and the folders of other backends stay.
// With an error, everything is as it was before.
func (d *Dir) Write(ctx context.Context, token oidc.Token, grants []federation.Grant) error {
	var fresh []backend
	for _, g := range grants {
		b, err := fromGrant(g)
		if err != nil {
			return err
		}
		fresh = append(fresh, b)
	}
	w := &writer{Dir: d, token: token, fresh: fresh}
	err := w.write(ctx)
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

	token oidc.Token
	fresh []backend
	past  past // what is taken over

	replaced   string   // the generation that the change replaces, taken over or not
	generation string   // the new one
	names      []string // that users know
}

// write goes step by step, and each can fail. Until [writer.commit] users see what they saw before, and what was made is undone
// or, where the process is killed, cleared by the next login. commit is one rename; with it they see all of the new files.
func (w *writer) write(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		w.open,           // make the output directory, and lock it
		w.recall,         // what an earlier login of this step left
		w.clearLeftovers, // of logins that were killed
		w.stage,          // all files, in a new generation
		w.takeForeign,    // into it, what others have put among the old files
		w.ignore,         // keep git away before anything is seen
		w.giveOldFolders, // where an earlier login had another owner
		w.link,           // the names that users know: before the commit they lead nowhere
		w.commit,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	w.tidy()
	return nil
}

// recall reads what an earlier login left, as far as this one takes it over.
func (w *writer) recall(context.Context) error {
	past, err := earlier(w.out, opened, w.mine)
	if err != nil {
		return err
	}
	w.replaced = past.generation
	if past.Subject != w.token.Claims.Subject {
		// It belongs to another step with the same build directory, or the checkout brought it, which cannot know this step's subject.
		// Nothing of it may reach this step's commands.
		past.generation, past.state = "", state{Made: past.Made}
	}
	w.past = past
	return w.past.keep(w.out, w.fresh)
}

func (w *writer) link(context.Context) error {
	var err error
	if w.names, err = w.visibleNames(w.generation); err != nil {
		return err
	}
	for _, name := range w.names {
		if err := w.linkName(name); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) commit(ctx context.Context) error {
	staged := stagedLink + strings.TrimPrefix(w.generation, generationPrefix)
	if err := w.symlink(w.generation, staged); err != nil {
		return err
	}
	// A file system mounted with nosymfollow would leave later commands links that nothing follows. [os.Root] reads links by
	// itself and would not see it. Any other error may be an error for this user only: the files may already belong to another user.
	if _, err := nowait.Read(w.Path(staged)+"/"+envFile, maxFile); errors.Is(err, syscall.ELOOP) {
		return hint.New("symbolic links are not followed here", "mount the build directory without nosymfollow; nothing was changed")
	}
	if ctx.Err() != nil {
		return ended(ctx, hint.New("TIMEOUT ran out before the change was made", "raise TIMEOUT; nothing was changed"))
	}
	if err := w.out.Rename(staged, current); err != nil {
		return failure(current, err)
	}
	w.made, w.madeDirs = nil, nil
	return nil
}

// tidy removes what the change has replaced. If something cannot be removed now, the next login or logout removes it.
func (w *writer) tidy() {
	if w.replaced != "" {
		_ = w.clear(w.replaced, copied)
	}
	w.unlinkAllBut(w.names)
}

// clearLeftovers removes what a login that was killed has left.
func (w *writer) clearLeftovers(context.Context) error {
	entries, err := nowait.List(w.out, ".")
	if err != nil {
		return cause(err)
	}
	for _, e := range entries {
		leftover := e.Name() != w.replaced && (isGeneration(e.Name()) || strings.HasPrefix(e.Name(), stagedLink))
		if !leftover || !w.wrote(e) {
			continue
		}
		if err := w.discard(e, copied); err != nil {
			return fmt.Errorf("clearing %w", err)
		}
	}
	return nil
}

// stage writes the files of all backends into a new folder.
func (w *writer) stage(context.Context) error {
	w.generation = newGeneration()
	if err := w.mkdir(w.generation); err != nil {
		return err
	}
	backends := merge(w.past.Backends, w.fresh)
	for _, b := range backends {
		if err := w.mkdir(w.generation + "/" + b.Name); err != nil {
			return err
		}
		for _, f := range b.files {
			if err := w.file(w.generation+"/"+f.Path, []byte(f.Data.Reveal())); err != nil {
				return err
			}
		}
	}
	docker, err := readDocker(w.out, w.past.generation)
	if err != nil {
		return refusal(dockerFile, err)
	}
	docker = docker.with(w.past.Backends, w.fresh)
	if !docker.empty() {
		if err := w.mkdir(w.generation + "/" + dockerDir); err != nil {
			return err
		}
		if err := w.file(w.generation+"/"+dockerFile, docker.file()); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{stateFile, marshal(state{stateVersion, w.token.Claims.Subject, backends, append(w.past.Made, w.madeDirs...)})},
		{summaryFile, summaryOf(w.token, backends)},
		{envFile, w.envOf(backends, docker)},
	} {
		if err := w.file(w.generation+"/"+f.name, f.data); err != nil {
			return err
		}
	}
	return nil
}

// visibleNames are the names by which users know a generation's files and folders.
func (w *writer) visibleNames(generation string) ([]string, error) {
	entries, err := nowait.List(w.out, generation)
	if err != nil {
		return nil, cause(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != stateFile && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func newGeneration() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return generationPrefix + hex.EncodeToString(id[:])
}

func (w *writer) mkdir(name string) error {
	if err := w.out.Mkdir(name, dirMode); err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	w.made = append(w.made, name)
	return w.ownFolder(w.out, name)
}

func (w *writer) file(name string, data []byte) error {
	f, err := w.out.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("%s: %w", name, cause(err))
	}
	w.made = append(w.made, name)
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(fileMode) // the umask may have taken permissions away
	}
	if err == nil {
		err = w.Own(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return failure(name, err)
	}
	return nil
}

// failure adds the name of the file or folder to an error; it is nil without an error.
func failure(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, cause(err))
}

// ignore writes the .gitignore that hides everything in the directory. The file appears whole, by a rename out of the generation.
func (w *writer) ignore(context.Context) error {
	_, err := w.out.Lstat(ignoreFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		staged := w.generation + "/" + ignoreFile
		if err := w.file(staged, []byte(ignoreAll)); err != nil {
			return err
		}
		if err := w.out.Rename(staged, ignoreFile); err != nil {
			return fmt.Errorf("%s: %w", ignoreFile, cause(err))
		}
		w.made = append(w.made, ignoreFile)
		return nil
	case err != nil:
		return failure(ignoreFile, err)
	}
	f, err := nowait.OpenIn(w.out, ignoreFile, os.O_RDONLY)
	if err != nil {
		return inTheWay(ignoreFile)
	}
	defer f.Close()
	if !ignoresAll(f) {
		return inTheWay(ignoreFile)
	}
	return failure(ignoreFile, w.Own(f))
}

// ignoresAll reports whether an open .gitignore keeps everything from git and has no second name: under another name it could be the
// file of anybody.
func ignoresAll(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || links(info) > 1 {
		return false
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return err == nil && strings.TrimSpace(string(data)) == strings.TrimSpace(ignoreAll)
}

// linkName makes one of the names that users know.
func (w *writer) linkName(name string) error {
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
	return w.giveLink(name)
}

// unlinkAllBut removes login's own links that lead nowhere any more.
func (w *writer) unlinkAllBut(names []string) {
	entries, _ := nowait.List(w.out, ".")
	for _, e := range entries {
		target, err := w.out.Readlink(e.Name())
		if err == nil && target == current+"/"+e.Name() && !slices.Contains(names, e.Name()) {
			_ = w.out.Remove(e.Name())
		}
	}
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
	return w.giveLink(name)
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
