package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/secret"
)

// A Removal is what [Dir.Remove] found and did.
type Removal struct {
	Removed  bool     // whether anything of login's own was there
	Foreign  []string // what else lies in the directory, which stays
	Unlocked bool     // whether another process held the lock on the directory all the time

	// Backends are the backends that had credentials in the directory, and Credentials describes the credentials.
	Backends    []string
	Credentials []Held
	files       map[string]held
}

// A Held is a credential that lay in the directory.
type Held struct {
	Backend, Name, Principal string
	Expires                  time.Time // zero if it is not known
}

// held is a file that was read before it was removed.
type held struct {
	data secret.Text
	err  error
}

// Read gives back a file of a backend, as it was before the removal.
func (r Removal) Read(file string) (secret.Text, error) {
	f, ok := r.files[file]
	if !ok {
		return secret.Text{}, fs.ErrNotExist
	}
	return f.data, f.err
}

// maxErrors bounds how many things that cannot be removed are named.
const maxErrors = 10

// Remove undoes what Write has done. Other commands see it happen in one step. It is no error if there is nothing to remove. If
// something cannot be removed, Remove goes on with the rest; the error joins all failures.
func (d *Dir) Remove(ctx context.Context) (Removal, error) {
	w := &remover{writer: writer{Dir: d}, noted: map[string]bool{}}
	defer w.close()
	w.remove(ctx)
	if more := len(w.errs) - maxErrors; more > 0 {
		w.errs = append(w.errs[:maxErrors], fmt.Errorf("and %d more", more))
	}
	advised := len(hint.All(errors.Join(w.errs...))) > 0
	for i, err := range w.errs {
		err = fmt.Errorf("removing from %s: %w", d.relative, err)
		if i == len(w.errs)-1 && !advised {
			err = hint.With(err, "the pipe's user must be allowed to remove this: allow it and call logout again; credentials that are still there work until they expire")
		}
		w.errs[i] = err
	}
	return w.Removal, errors.Join(w.errs...)
}

// A remover takes away what logins have written. It goes on after a failure and notes it.
type remover struct {
	writer
	Removal
	errs  []error
	noted map[string]bool // by their texts
}

// note keeps each single failure, once.
func (r *remover) note(err error) {
	for _, failure := range hint.Failures(err) {
		if text := failure.Error(); !r.noted[text] {
			r.noted[text] = true
			r.errs = append(r.errs, failure)
		}
	}
}

// remove goes step by step: users see the files until [remover.detach], and none of them after it.
func (r *remover) remove(ctx context.Context) {
	if !r.enter(ctx) {
		return
	}
	past := r.recall()
	r.hold(past)
	r.detach(past)
	r.sweep(past)
	if len(r.Foreign) == 0 {
		r.prune(past)
	}
}

// enter opens the output directory and locks it. It returns false if there is none, or if it cannot be opened.
func (r *remover) enter(ctx context.Context) bool {
	var err error
	if r.clone, err = nowait.Folder(r.Dir.clone); err != nil {
		r.note(cause(err))
		return false
	}
	if err := r.checkWay(); err != nil {
		r.note(err)
		return false
	}
	openUp(r.clone, r.relative)
	for lost, entered := 0, false; !entered; lost++ {
		if err := r.checkWay(); err != nil {
			r.note(err)
			return false
		}
		waiting, cancel := half(ctx)
		entered, err = r.writer.enter(waiting, lost)
		cancel()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false
		case err != nil && r.out == nil:
			r.note(err)
			return false
		case errors.As(err, new(*heldError)):
			// The credentials must go even if another process holds the lock, or a signal has come.
			r.Unlocked, entered = true, true
		case err != nil:
			r.note(err)
			entered = true
		}
	}
	openUp(r.out, ".")
	return true
}

// half is a context for half of the time that ctx leaves.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// recall reads the state of the last login. Its owner does not matter: the state only decides which of login's own files are removed.
func (r *remover) recall() past {
	if generation, err := r.out.Readlink(current); err == nil && isGeneration(generation) {
		openUp(r.out, generation)
		openUpFile(r.out, generation+"/"+stateFile)
	}
	past, err := earlier(r.out, writable, nil)
	if err != nil && !errors.Is(err, errForeign) {
		r.note(err)
	}
	for _, b := range past.Backends {
		openUp(r.out, past.generation+"/"+b.Name)
		r.Backends = append(r.Backends, b.Name)
		for _, c := range b.Credentials {
			one := Held{Backend: c.Backend, Name: c.Name, Principal: c.Principal}
			if c.Expires != nil {
				one.Expires = *c.Expires
			}
			r.Credentials = append(r.Credentials, one)
		}
	}
	if past.generation != "" {
		openUp(r.out, past.generation+"/"+dockerDir)
	}
	return past
}

// hold reads the credentials, so that they can be revoked after they are removed.
func (r *remover) hold(past past) {
	r.files = map[string]held{}
	reader := reader{r.out, past.generation, maxKept}
	for _, b := range past.Backends {
		for _, c := range b.Credentials {
			for _, path := range c.Files {
				if _, known := r.files[path]; known || path == dockerFile {
					continue
				}
				openUpFile(r.out, past.generation+"/"+path)
				data, err := reader.read(path)
				r.files[path] = held{data, err}
			}
		}
	}
}

// detach takes away what the last login wrote: for other commands by one change of the link, and then file by file. Foreign files among
// them stay where users know them.
func (r *remover) detach(past past) {
	if past.generation == "" {
		return
	}
	r.Removed = len(past.Backends) > 0
	foreign, err := r.leave(past)
	if err != nil {
		r.undo()
		r.made = nil
		r.note(err)
	}
	r.Foreign = foreign
	for _, file := range past.paths() {
		r.note(r.wipe(past.generation+"/"+file, always))
	}
	if err != nil { // the foreign files are still there, and must stay known as such
		r.note(r.keepState(past.generation, past))
	}
}

// sweep removes everything else that is login's own, and names what is not. If the state could not be read, it removes all of
// login's own files.
func (r *remover) sweep(past past) {
	entries, err := nowait.List(r.out, ".")
	if err != nil {
		r.note(cause(err))
		return
	}
	openUpFile(r.out, ignoreFile) // only its text says whose it is
	holder := ""
	if target, err := r.out.Readlink(current); err == nil && isGeneration(target) && past.generation != "" {
		holder = target // what detach has left, for foreign files
	}
	for _, e := range entries {
		switch {
		case holder != "" && (len(r.Foreign) > 0 || len(r.errs) > 0) && r.holds(e, holder):
		case r.wrote(e):
			r.Removed = true
			r.note(r.discard(e, always))
		default:
			r.Foreign = append(r.Foreign, e.Name())
		}
	}
}

// prune removes the folders that login made, if they are empty.
func (r *remover) prune(past past) {
	_ = r.clone.Remove(r.relative)
	for _, dir := range slices.Backward(past.Made) {
		if slices.Contains(r.way(), dir) {
			_ = r.clone.Remove(dir)
		}
	}
}

// leave takes away the link to the last login's generation, and names the foreign files in the generation. They move into a generation
// that holds nothing else, so that they stay where users know them, also after the next login.
func (w *writer) leave(past past) (foreign []string, err error) {
	// This also runs after TIMEOUT, because waiting for a lock may have used it up.
	end := time.Now().Add(time.Second)
	inTime := func() error {
		if time.Now().After(end) {
			return errTooSlow
		}
		return nil
	}
	generation := newGeneration()
	if err := w.mkdir(generation); err != nil {
		return nil, err
	}
	if err := w.keepState(generation, past); err != nil {
		return nil, err
	}
	unlink(w.out, past.generation)
	if err := w.adopt(inTime, past, generation, "."); err != nil {
		return nil, err
	}
	for _, name := range w.made {
		if inside, ok := strings.CutPrefix(name, generation+"/"); ok && inside != stateFile {
			foreign = append(foreign, inside)
		}
	}
	if len(foreign) == 0 {
		w.undo()
		w.made = nil
		err = w.out.Remove(current)
	} else {
		staged := stagedLink + strings.TrimPrefix(generation, generationPrefix)
		if err = w.symlink(generation, staged); err == nil {
			err = w.out.Rename(staged, current)
		}
	}
	if err != nil {
		return nil, failure(current, err)
	}
	w.made = nil
	return foreign, nil
}

// keepState writes the state of a generation that has no backend any more.
func (w *writer) keepState(generation string, past past) error {
	return w.file(generation+"/"+stateFile, marshal(state{stateVersion, past.Subject, []backend{}, past.Made}))
}

// holds reports whether an entry is needed to reach foreign files: the generation that has them, the links to them, and what
// hides them from git.
func (w *writer) holds(e fs.DirEntry, generation string) bool {
	if e.Name() == current || e.Name() == generation || e.Name() == ignoreFile {
		return true
	}
	target, err := w.out.Readlink(e.Name())
	if err != nil || target != current+"/"+e.Name() {
		return false
	}
	_, err = w.out.Lstat(generation + "/" + e.Name())
	return err == nil
}

// wrote reports whether an entry of the output directory is login's own.
func (w *writer) wrote(e fs.DirEntry) bool {
	name := e.Name()
	switch {
	case e.IsDir():
		return isGeneration(name)
	case e.Type()&fs.ModeSymlink != 0:
		target, err := w.out.Readlink(name)
		return err == nil && (target == current+"/"+name || (name == current || strings.HasPrefix(name, stagedLink)) && isGeneration(target))
	case name == ignoreFile && e.Type().IsRegular():
		data, err := nowait.ReadIn(w.out, name, maxFile)
		return err == nil && string(data) == ignoreAll
	}
	return false
}
