package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"bitbucket-oidc/internal/secret"
)

// Remove undoes what Write has done, in one step for whoever looks, and tells what else lies in the directory. It is no
// error when there is nothing to remove.
func (d *Dir) Remove(ctx context.Context) (removed bool, foreign []string, err error) {
	w := &writer{Dir: d}
	defer w.close()
	removed, foreign, err = w.remove(ctx)
	if err != nil {
		err = fmt.Errorf("removing from %s: %w", d.relative, err)
	}
	return removed, foreign, err
}

// Read gives back a file of a backend that an earlier Write wrote.
func (d *Dir) Read(file string) (secret.Text, error) {
	if err := d.checkWay(); err != nil {
		return secret.Text{}, err
	}
	out, err := os.OpenRoot(d.Path(""))
	if err != nil {
		return secret.Text{}, cause(err)
	}
	defer out.Close()
	_, backends, err := earlier(out)
	if err != nil {
		return secret.Text{}, err
	}
	for _, b := range backends {
		for _, f := range b.files {
			if f.Path == file {
				return f.Data, nil
			}
		}
	}
	return secret.Text{}, fs.ErrNotExist
}

func (w *writer) remove(ctx context.Context) (removed bool, foreign []string, err error) {
	if w.clone, err = os.OpenRoot(w.Dir.clone); err != nil {
		return false, nil, cause(err)
	}
	if w.out, err = w.clone.OpenRoot(w.relative); errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	} else if err != nil {
		return false, nil, cause(err)
	}
	if w.lock, err = w.out.Open("."); err != nil {
		return false, nil, cause(err)
	}
	if err := lock(ctx, w.lock); err != nil {
		return false, nil, err
	}
	// With this link everything is gone; the rest is clearing.
	if target, err := w.out.Readlink(current); err == nil && isGeneration(target) {
		if err := w.out.Remove(current); err != nil {
			return false, nil, fmt.Errorf("%s: %w", current, cause(err))
		}
		removed = true
	}
	entries, err := fs.ReadDir(w.out.FS(), ".")
	if err != nil {
		return removed, nil, cause(err)
	}
	for _, e := range entries {
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
		_ = w.clone.Remove(w.relative) // empty, so it goes as well
	}
	return removed, foreign, nil
}

// wrote tells whether an entry of the output directory is login's own.
func (w *writer) wrote(e fs.DirEntry) bool {
	name := e.Name()
	switch {
	case e.IsDir():
		return isGeneration(name)
	case e.Type()&fs.ModeSymlink != 0:
		target, err := w.out.Readlink(name)
		return err == nil && (target == current+"/"+name || strings.HasPrefix(name, stagedLink) && isGeneration(target))
	case name == ignoreFile && e.Type().IsRegular():
		data, err := readFile(w.out, name)
		return err == nil && string(data) == ignoreAll
	}
	return false
}
