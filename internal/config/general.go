package config

import (
	"strconv"
	"strings"
	"time"
)

// Timeout bounds the whole command. It has its default if its value cannot be read.
func (v *Vars) Timeout() time.Duration {
	g := v.Group()
	if limit := g.Duration("TIMEOUT", time.Millisecond, 24*time.Hour); !g.Failed() {
		return limit
	}
	return time.Minute
}

// CloneDir is the build directory, or empty for the working directory.
func (v *Vars) CloneDir() string { return v.Text("BITBUCKET_CLONE_DIR") }

// MinimumLifetime is zero if there is none.
func (v *Vars) MinimumLifetime() time.Duration {
	return v.Duration("MINIMUM_LIFETIME", 0, 1000*time.Hour)
}

// Owner is the user and group that get the files, by number. A GID of -1 leaves the group.
type Owner struct{ UID, GID int }

// nobody is neither a user nor a group: chown takes it as "no change".
const nobody = 1<<32 - 1

// Owner is nil if no owner is named.
func (v *Vars) Owner() *Owner {
	text := v.Text("OUTPUT_OWNER")
	if text == "" {
		return nil
	}
	user, group, both := strings.Cut(text, ":")
	uid, err := strconv.ParseUint(user, 10, 32)
	gid := int64(-1)
	if err == nil && both {
		var id uint64
		id, err = strconv.ParseUint(group, 10, 32)
		gid = int64(id)
	}
	if err != nil || uid == nobody || gid == nobody {
		v.Wrong("OUTPUT_OWNER", text, "a numeric user, or user:group, such as 1000:1000")
		return nil
	}
	return &Owner{UID: int(uid), GID: int(gid)}
}

// Colourless reports whether the user wants no colours on a terminal: NO_COLOR is set, and not empty (no-color.org). A step has no
// terminal, so the variable is in no table.
func (v *Vars) Colourless() bool { return v.value("NO_COLOR") != "" }
