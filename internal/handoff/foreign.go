package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

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

// adopt takes foreign files over into a new generation: files beside those of the last login, such as what Docker keeps beside its
// config.json. The old files stay until the change is made.
func (w *writer) adopt(inTime func() error, past past, generation, dir string) error {
	if past.generation == "" {
		return nil
	}
	if strings.Count(dir, "/") == maxDepth {
		return hint.New("keeping "+dir+": folders are nested more than "+strconv.Itoa(maxDepth)+" levels deep", "remove what is below it: login did not write it")
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

// maxDepth bounds how deep foreign folders may be nested. Each folder costs as much as the way to it.
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
