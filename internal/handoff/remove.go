package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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
	past, err := earlier(out)
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
	past, err := earlier(w.out)
	if err == nil && past.generation != "" {
		// With this link everything is gone; the rest is clearing.
		if err := w.out.Remove(current); err != nil {
			return false, nil, fmt.Errorf("%s: %w", current, cause(err))
		}
		removed = true
		if err := w.bringOut(past); err != nil {
			return removed, nil, err
		}
	}
	entries, err := fs.ReadDir(w.out.FS(), ".")
	if err != nil {
		return removed, nil, cause(err)
	}
	for _, e := range entries {
		if !w.wrote(e) {
			foreign = append(foreign, w.listing(e)...)
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
			if strings.HasPrefix(w.relative, dir) {
				_ = w.clone.Remove(dir)
			}
		}
	}
	return removed, foreign, nil
}

// bringOut removes the files that login wrote from a generation and moves folders with foreign files in them to where
// users know them.
func (w *writer) bringOut(past past) error {
	for _, b := range past.Backends {
		for _, f := range b.files {
			_ = w.out.Remove(past.generation + "/" + f.Path)
		}
	}
	_ = w.out.Remove(past.generation + "/" + dockerFile)
	folders := []string{dockerDir}
	for _, b := range past.Backends {
		folders = append(folders, b.Name)
	}
	for _, name := range folders {
		from := past.generation + "/" + name
		if left, err := fs.ReadDir(w.out.FS(), from); err != nil || len(left) == 0 {
			continue
		}
		if err := w.unlink(name); err != nil {
			return fmt.Errorf("%s: %w", name, cause(err))
		}
		if err := w.out.Rename(from, name); err != nil {
			return fmt.Errorf("leaving %s: %w", name, cause(err))
		}
	}
	return nil
}

// listing names a foreign entry, and what is in it if it is a folder.
func (w *writer) listing(e fs.DirEntry) []string {
	if !e.IsDir() {
		return []string{e.Name()}
	}
	inside, err := fs.ReadDir(w.out.FS(), e.Name())
	if err != nil || len(inside) == 0 {
		return []string{e.Name() + "/"}
	}
	var names []string
	for _, i := range inside {
		names = append(names, e.Name()+"/"+i.Name())
	}
	return names
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
