package handoff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"bitbucket-oidc/internal/filelock"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

// open makes the output directory if it is missing, and locks it against other logins.
func (w *writer) open(ctx context.Context) error {
	var err error
	if w.clone, err = nowait.Folder(w.Dir.clone); err != nil {
		return cause(err)
	}
	for lost := 0; ; lost++ {
		if err := w.checkWay(); err != nil {
			return err
		}
		err := w.makeWay()
		entered := false
		if err == nil {
			entered, err = w.enter(ctx, lost)
		}
		switch {
		case entered:
			return nil
		case err != nil && (lost == mostLost || !errors.Is(err, fs.ErrNotExist)):
			return err
		}
	}
}

// mostLost is how often the directory may vanish or be replaced while it is made and entered.
const mostLost = 100

// makeWay makes the output directory and the directories on the way to it.
func (w *writer) makeWay() error {
	for _, step := range w.way() {
		err := w.clone.Mkdir(step, dirMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step, cause(err))
		}
		if !slices.Contains(w.madeDirs, step) {
			w.madeDirs = append(w.madeDirs, step)
		}
		if err := w.ownFolder(w.clone, step); err != nil {
			return err
		}
	}
	return nil
}

// enter opens the output directory and locks it. It returns false if the directory was removed meanwhile, by a logout or
// by a login that failed and had made it. If that happens too often, it is an error.
func (w *writer) enter(ctx context.Context, lost int) (bool, error) {
	var err error
	if w.out, err = nowait.FolderIn(w.clone, w.relative); err != nil {
		return false, cause(err)
	}
	if w.lock, err = nowait.Handle(w.out, "."); err == nil {
		err = lock(ctx, w.lock)
	}
	if err != nil {
		return false, cause(err)
	}
	locked, err := w.lock.Stat()
	if err != nil {
		return false, cause(err)
	}
	if now, err := w.clone.Lstat(w.relative); err == nil && os.SameFile(locked, now) {
		return true, nil
	}
	w.closeOut()
	if lost == mostLost {
		return false, errors.New("it is another folder each time")
	}
	return false, nil
}

// ended is the error of something that the end of the command interrupted. It is late if TIMEOUT ran out.
func ended(ctx context.Context, late error) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return late
	}
	return hint.New("stopped", "somebody or something stopped the step: run it again")
}

// A heldError is a lock that another process held for as long as there was time.
type heldError struct{ error }

func (e *heldError) Unwrap() error { return e.error }

// lock waits for the lock on f.
func lock(ctx context.Context, f *os.File) error {
	switch err := filelock.Wait(ctx, f); {
	case errors.Is(err, filelock.ErrHeld):
		return &heldError{ended(ctx, hint.New("another login is writing to this folder",
			"give each login an OUTPUT_DIR of its own, or raise TIMEOUT so that this one waits for the other"))}
	case err != nil:
		return fmt.Errorf("locking it: %w", err)
	}
	return nil
}
