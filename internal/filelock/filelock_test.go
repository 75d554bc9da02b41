package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWait: a lock is handed on when its holder closes the file, and not before.
func TestWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	open := func() *os.File {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	holder, other := open(), open()
	if err := Wait(t.Context(), holder); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 4*tick)
	defer cancel()
	if err := Wait(late, other); !errors.Is(err, ErrHeld) {
		t.Errorf("while it is held: %v, want %v", err, ErrHeld)
	}
	time.AfterFunc(2*tick, func() { _ = holder.Close() })
	if err := Wait(t.Context(), other); err != nil {
		t.Errorf("when it is free: %v", err)
	}
}
