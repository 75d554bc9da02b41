// Package filelock keeps processes from using one file or folder at the same time.
package filelock

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// ErrHeld is the error of a lock that another process held for as long as there was time.
var ErrHeld = errors.New("another process holds the lock")

// tick is how often a lock is tried.
const tick = 5 * time.Millisecond

// Wait takes the lock on f, and waits for it until ctx ends. The lock ends when f is closed, or with the process, however that ends.
func Wait(ctx context.Context, f *os.File) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ErrHeld
		}
	}
}
