package handoff

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// chownLink gives a link in a folder to an owner. It gives away what it has opened, so that a second name of another file cannot take
// the link's place.
func chownLink(dir *os.File, name string, to Owner) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFLNK {
		return syscall.EEXIST
	}
	return unix.Fchownat(fd, "", to.UID, to.GID, unix.AT_EMPTY_PATH)
}
