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
	"path"
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
		// Of another step, whose build directory this one has, or brought by the checkout, which cannot know this step's
		// subject. Nothing of it may reach this step's commands.
		past.generation, past.state = "", state{Made: past.Made}
	}
	w.past = past
	return w.past.keep(w.out, w.fresh)
}

// takeForeign links the foreign files among the old ones into the new generation.
func (w *writer) takeForeign(ctx context.Context) error {
	inTime := func() error {
		if ctx.Err() != nil {
			return ended(ctx, errTooSlow)
		}
		return nil
	}
	return w.adopt(inTime, w.past, w.generation, ".")
}

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
	// itself and would not see it. Any other error may be this user's alone: the files can be another's by now.
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

// tidy removes what the change has replaced. What cannot be removed now, the next login or logout removes.
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

// adopt takes the foreign files that lie among those of the last login over into a new generation, such as what Docker
// keeps beside its config.json. The old ones stay until the change is made.
func (w *writer) adopt(inTime func() error, past past, generation, dir string) error {
	if past.generation == "" {
		return nil
	}
	if strings.Count(dir, "/") == maxDepth {
		return hint.New("keeping "+dir+": too deep", "remove what is below it: login did not write it")
	}
	entries, err := nowait.List(w.out, path.Join(past.generation, dir))
	if err != nil {
		return fmt.Errorf("keeping what is in %s: %w", dir, cause(err))
	}
	for _, e := range entries {
		if err := inTime(); err != nil {
			return err
		}
		name := path.Join(dir, e.Name())
		if past.wrote(name) {
			continue
		}
		from, to := path.Join(past.generation, name), path.Join(generation, name)
		if !e.IsDir() || !past.made(name) { // a folder of login's own comes with the first file in it
			if err := w.take(e, from, to); err != nil {
				return fmt.Errorf("keeping %s: %w", name, cause(err))
			}
		}
		if e.IsDir() {
			if err := w.adopt(inTime, past, generation, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxDepth bounds how deep foreign folders may lie in one another. The cost of each is that of the way to it.
const maxDepth = 50

// errTooSlow is why keeping foreign files was given up.
var errTooSlow = errors.New("keeping what login did not write took too long")

// take gives one foreign entry a second name.
func (w *writer) take(e fs.DirEntry, from, to string) error {
	if _, err := w.out.Lstat(to); err == nil {
		return nil // login's own folder, or a file that login writes from now on
	}
	if _, err := w.out.Lstat(path.Dir(to)); errors.Is(err, fs.ErrNotExist) {
		if err := w.mkdir(path.Dir(to)); err != nil {
			return err
		}
	}
	var err error
	switch {
	case e.IsDir():
		return w.mkdir(to)
	case e.Type()&fs.ModeSymlink != 0:
		var target string
		if target, err = w.out.Readlink(from); err == nil {
			err = w.out.Symlink(target, to)
		}
	default:
		err = w.out.Link(from, to)
	}
	if err == nil {
		w.made = append(w.made, to)
	}
	return err
}

// visibleNames are those that users know of a generation's files and folders.
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
		err = f.Chmod(fileMode) // whatever the umask
	}
	if err == nil {
		err = w.give(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return failure(name, err)
	}
	return nil
}

// ownFolder sets what the umask and the process's user would decide otherwise.
func (w *writer) ownFolder(root *os.Root, name string) error {
	f, err := nowait.Handle(root, name)
	if errors.Is(err, fs.ErrPermission) && root.Chmod(name, dirMode) == nil { // the umask keeps its own user out
		f, err = nowait.Handle(root, name)
	}
	if err == nil {
		err = errors.Join(f.Chmod(dirMode), w.give(f), f.Close())
	}
	return failure(name, err)
}

// give gives an open file or folder to the owner. By its name, something else could be given away in its place.
func (w *writer) give(f *os.File) error {
	if !w.setOwner {
		return nil
	}
	return w.given(f.Chown(w.owner.UID, w.owner.GID))
}

// giveFolder gives a folder of an earlier login to the owner.
func (w *writer) giveFolder(root *os.Root, name string) error {
	f, err := nowait.Handle(root, name)
	if err == nil {
		err = errors.Join(w.give(f), f.Close())
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

// given is the error of giving something away.
func (w *writer) given(err error) error {
	if err == nil {
		return nil
	}
	denied := errors.Is(err, fs.ErrPermission)
	err = fmt.Errorf("giving it to user %d: %w", w.owner.UID, cause(err))
	if denied {
		return hint.With(err, "set OUTPUT_OWNER to a user that the pipe may give files to, such as its own: OUTPUT_OWNER: '0:0'")
	}
	return err
}

// failure is an error with the name that it is about, or nil.
func failure(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, cause(err))
}

// ignore keeps git away from everything here. The file comes whole, by a rename out of the generation.
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
	return failure(ignoreFile, w.give(f))
}

// ignoresAll reports whether an open .gitignore keeps everything from git, and is a file of its own: under another name it could
// be anybody's.
func ignoresAll(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || links(info) > 1 {
		return false
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return err == nil && strings.TrimSpace(string(data)) == strings.TrimSpace(ignoreAll)
}

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink)
	}
	return 1
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
