//go:build !linux

package handoff

import (
	"os"

	"golang.org/x/sys/unix"
)

// chownLink gives a link in a folder to an owner.
func chownLink(dir *os.File, name string, to Owner) error {
	return unix.Fchownat(int(dir.Fd()), name, to.UID, to.GID, unix.AT_SYMLINK_NOFOLLOW)
}
