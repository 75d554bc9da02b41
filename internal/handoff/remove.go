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

// Remove undoes what Write has done, in one step for whoever looks, and tells what else lies in the directory. It is no
// error when there is nothing to remove.
func (d *Dir) Remove(ctx context.Context) (removed bool, foreign []string, err error) {
	w := &writer{Dir: d}
	defer w.close()
	removed, foreign, err = w.remove(ctx)
	if err != nil && len(hint.All(err)) > 0 {
		err = fmt.Errorf("removing from %s: %w", d.relative, err)
	} else if err != nil {
		err = hint.With(fmt.Errorf("removing from %s: %w", d.relative, err),
			"the build directory must be writable for the pipe's user: mend that and call logout again; until they are removed, or expire, later commands can use the credentials")
	}
	return removed, foreign, err
}

// Backends are the names of the backends whose credentials lie in the directory.
func (d *Dir) Backends() ([]string, error) {
	past, err := d.past()
	var names []string
	for _, b := range past.Backends {
		names = append(names, b.Name)
	}
	return names, err
}

// Read gives back a file of a backend that an earlier Write wrote.
func (d *Dir) Read(file string) (secret.Text, error) {
	past, err := d.past()
	if err != nil {
		return secret.Text{}, err
	}
	for _, b := range past.Backends {
		if i := b.indexOf(file); i >= 0 {
			return b.files[i].Data, nil
		}
	}
	return secret.Text{}, fs.ErrNotExist
}

// past is what the last login left; nothing, if what lies there is foreign.
func (d *Dir) past() (past, error) {
	unreadable := func(err error) (past, error) {
		return past{}, hint.With(fmt.Errorf("reading %s: %w", d.relative, err), readable)
	}
	if err := d.checkWay(); err != nil {
		return unreadable(err)
	}
	clone, err := nowait.Folder(d.clone)
	if err != nil {
		return unreadable(cause(err))
	}
	defer clone.Close()
	out, err := nowait.FolderIn(clone, d.relative)
	if errors.Is(err, fs.ErrNotExist) {
		return past{}, nil
	}
	if err != nil {
		return unreadable(cause(err))
	}
	defer out.Close()
	left, err := earlier(out, writable)
	if err != nil && !errors.Is(err, errForeign) {
		return unreadable(err)
	}
	return left, nil
}

func (w *writer) remove(ctx context.Context) (removed bool, foreign []string, err error) {
	if w.clone, err = nowait.Folder(w.Dir.clone); err != nil {
		return false, nil, cause(err)
	}
	for lost, entered := 0, false; !entered; lost++ {
		if err := w.checkWay(); err != nil {
			return false, nil, err
		}
		if entered, err = w.enter(ctx, lost); errors.Is(err, fs.ErrNotExist) {
			return false, nil, nil
		} else if err != nil {
			return false, nil, err
		}
	}
	past, err := earlier(w.out, writable)
	if err != nil && !errors.Is(err, errForeign) {
		return false, nil, err
	}
	if past.generation != "" {
		if foreign, err = w.leave(past); err != nil {
			w.undo()
			return false, nil, errors.Join(err, w.empty(past.generation, past))
		}
		removed = len(past.Backends) > 0
	}
	entries, err := nowait.List(w.out, ".")
	if err != nil {
		return removed, nil, cause(err)
	}
	holder := "" // what leave left
	if len(foreign) > 0 {
		if holder, err = w.out.Readlink(current); err != nil {
			return removed, nil, cause(err)
		}
	}
	for _, e := range entries {
		if holder != "" && w.holds(e, holder) {
			continue
		}
		if !w.wrote(e) {
			foreign = append(foreign, e.Name())
			continue
		}
		if err := w.out.RemoveAll(e.Name()); err != nil {
			return removed, nil, fmt.Errorf("%s: %w", e.Name(), cause(err))
		}
		removed = true
	}
	if len(foreign) == 0 {
		// Only what is empty goes.
		_ = w.clone.Remove(w.relative)
		for _, dir := range slices.Backward(past.Made) {
			if slices.Contains(w.way(), dir) {
				_ = w.clone.Remove(dir)
			}
		}
	}
	return removed, foreign, nil
}

// leave takes away what the last login wrote, by one change of the link. Foreign files among it, which it names, move into a
// generation that holds nothing else, and so stay where users know them, through the next login too.
func (w *writer) leave(past past) (foreign []string, err error) {
	// Also after TIMEOUT, which a revocation may have used up.
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
		return nil, fmt.Errorf("%s: %w", current, cause(err))
	}
	w.made = nil
	return foreign, nil
}

// keepState makes a generation one without a backend.
func (w *writer) keepState(generation string, past past) error {
	return w.file(generation+"/"+stateFile, marshal(state{stateVersion, past.Subject, []backend{}, past.Made}))
}

// empty takes what the last login wrote out of its generation, where foreign files among it could not be moved: what cannot be kept
// must not keep the credentials.
func (w *writer) empty(generation string, past past) error {
	files := []string{stateFile, envFile, summaryFile, dockerFile}
	for _, b := range past.Backends {
		for _, f := range b.files {
			files = append(files, f.Path)
		}
	}
	var errs []error
	for _, file := range files {
		if err := w.out.Remove(generation + "/" + file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", file, cause(err)))
		}
	}
	return errors.Join(append(errs, w.keepState(generation, past))...)
}

// holds tells whether an entry is needed to reach foreign files: the generation that has them, the links to them, and what
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

// wrote tells whether an entry of the output directory is login's own.
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
