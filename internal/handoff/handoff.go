// Package handoff owns the output directory, through which credentials reach the later commands of a step. A change of it is whole or
// absent, also for a command that looks at it during the change, and if the process is killed.
//
// To change all files in one rename, the files of a login lie in a generation, a folder of its own, to which `.current` is
// a link; the names that users know are links through it:
//
//	.gitignore               regular: git does not read a linked one
//	.current                 → .gen-1f0c…            the rename of this link is the change
//	.gen-1f0c…/              env.sh summary.json aws/ gcp/ state.json
//	env.sh                   → .current/env.sh
//	aws                      → .current/aws
//
// Nothing is written outside the directory, and nothing in it that is not login's own is touched.
package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

// Config says where the files go and who owns them.
type Config struct {
	// CloneDir is the build directory that the pipe shares with the step.
	CloneDir string
	// OutputDir is a path inside CloneDir: relative to it, or absolute.
	OutputDir string
	// Owner owns the files; nil means the owner of the build directory if the process runs as root, or else the process's user.
	Owner *Owner
}

// Owner is a numeric user and group; a GID of -1 leaves the group as it is.
type Owner struct{ UID, GID int }

// Dir is an output directory. Until [Dir.Write] it need not exist.
type Dir struct {
	clone    string // absolute, as Bitbucket gave it: on the shell runner it holds "..", which may follow a link
	relative string // below clone, clean, with slashes
	owner    Owner
	setOwner bool
}

// Open checks that c names a directory that can be used. It creates nothing. Its errors begin with the variable to change.
func Open(c Config) (*Dir, error) {
	clone, err := absolute(c.CloneDir)
	if err != nil {
		return nil, err
	}
	relative, err := inside(clone, c.OutputDir)
	if err != nil {
		return nil, err
	}
	d := &Dir{clone: clone, relative: relative}
	info, err := os.Stat(clone)
	if err != nil || !info.IsDir() {
		return nil, hint.New("BITBUCKET_CLONE_DIR: not a directory that can be read",
			"Bitbucket sets BITBUCKET_CLONE_DIR; elsewhere, set it to the checkout or leave it unset to use the working directory")
	}
	if err := d.checkWay(); err != nil {
		return nil, err
	}
	return d, d.setOwnership(c.Owner, info)
}

// Place is the build directory, absolute, and the output directory below it, clean and with slashes.
func (d *Dir) Place() (clone, relative string) { return d.clone, d.relative }

// Path is the absolute path of a file that [Dir.Write] writes, or of the directory itself for an empty name.
func (d *Dir) Path(file string) string {
	path := d.clone + "/" + d.relative
	if file != "" {
		path += "/" + file
	}
	return path
}

func absolute(dir string) (string, error) {
	if strings.ContainsFunc(dir, unicode.IsControl) {
		return "", hint.New("BITBUCKET_CLONE_DIR: a path with control characters", "use a build directory with a plain name")
	}
	if !filepath.IsAbs(dir) {
		wd, err := os.Getwd()
		if err != nil {
			return "", hint.New("BITBUCKET_CLONE_DIR: cannot determine the working directory", "set BITBUCKET_CLONE_DIR to the checkout's full path")
		}
		dir = wd + "/" + dir
	}
	if trimmed := strings.TrimRight(dir, "/"); trimmed != "" {
		return trimmed, nil
	}
	return "", hint.New("BITBUCKET_CLONE_DIR: the root directory", "name the checkout")
}

func inside(clone, output string) (string, error) {
	refuse := func(what string) (string, error) {
		return "", hint.New("OUTPUT_DIR: "+what,
			"OUTPUT_DIR is a folder inside the build directory, such as .bitbucket-oidc: only that directory is shared with later commands")
	}
	if strings.ContainsFunc(output, unicode.IsControl) || !utf8.ValidString(output) {
		return refuse("a path with control characters")
	}
	relative := output
	if filepath.IsAbs(output) {
		var err error
		relative, err = filepath.Rel(filepath.Clean(clone), output)
		if err != nil {
			return refuse("a path outside the build directory")
		}
	}
	relative = filepath.Clean(relative)
	switch {
	case relative == ".":
		return refuse("the build directory itself")
	case !filepath.IsLocal(relative):
		return refuse("a path outside the build directory")
	}
	return filepath.ToSlash(relative), nil
}

// checkWay refuses a link or a file where a directory of the output path should be. A pull request controls the checkout,
// and a link in it could lead anywhere.
func (d *Dir) checkWay() error {
	root, err := nowait.Folder(d.clone)
	if err != nil {
		return hint.With(fmt.Errorf("BITBUCKET_CLONE_DIR: opening it: %w", cause(err)), readable)
	}
	defer root.Close()
	for _, step := range d.way() {
		info, err := root.Lstat(step)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return hint.With(fmt.Errorf("OUTPUT_DIR: looking at %s: %w", step, cause(err)), readable)
		case info.Mode()&fs.ModeSymlink != 0:
			return hint.New("OUTPUT_DIR: "+step+" is a symbolic link",
				"remove the link from the checkout, or set OUTPUT_DIR to another folder: a link could lead out of the build directory")
		case !info.IsDir():
			return hint.New("OUTPUT_DIR: "+step+" is not a directory", "remove the file from the checkout, or set OUTPUT_DIR to another folder")
		}
	}
	return nil
}

const readable = "the build directory must be readable for the pipe's user"

// way lists the directories from the build directory to the output directory: for a/b, a and then a/b.
func (d *Dir) way() []string {
	var steps []string
	for i, c := range d.relative {
		if c == '/' {
			steps = append(steps, d.relative[:i])
		}
	}
	return append(steps, d.relative)
}

func (d *Dir) setOwnership(asked *Owner, clone fs.FileInfo) error {
	if asked == nil {
		if stat, ok := clone.Sys().(*syscall.Stat_t); ok && mayGiveAway() && !isNobody(int(stat.Uid)) {
			d.owner, d.setOwner = Owner{int(stat.Uid), int(stat.Gid)}, true
		}
		return nil
	}
	d.owner, d.setOwner = *asked, true
	if mayGiveAway() {
		return nil
	}
	groups, err := os.Getgroups()
	if err != nil {
		groups = nil
	}
	groups = append(groups, os.Getegid())
	if asked.UID != os.Geteuid() || asked.GID >= 0 && !slices.Contains(groups, asked.GID) {
		return hint.New("OUTPUT_OWNER: this process may not give files to another user",
			fmt.Sprintf("the pipe runs as user %d: run its image as root with the capability CHOWN, or leave OUTPUT_OWNER out", os.Geteuid()))
	}
	return nil
}

// isNobody reports whether uid stands for an owner that this user namespace does not have, as in containers whose users are
// mapped (user_namespaces(7)). Files given to it would belong to somebody else on the host.
func isNobody(uid int) bool {
	ids, err := nowait.Read("/proc/self/uid_map", maxFile)
	if err != nil {
		return false // not Linux
	}
	if everybody := []string{"0", "0", "4294967295"}; slices.Equal(strings.Fields(string(ids)), everybody) {
		return false
	}
	overflow, err := nowait.Read("/proc/sys/kernel/overflowuid", maxFile)
	return err == nil && strings.TrimSpace(string(overflow)) == strconv.Itoa(uid)
}

// mayGiveAway reports whether the process may give files to another user: as root, unless it was stripped of the capability.
func mayGiveAway() bool {
	if os.Geteuid() != 0 {
		return false
	}
	const chown = 1 << 0 // CAP_CHOWN (capabilities(7))
	status, err := nowait.Read("/proc/self/status", maxFile)
	if err != nil {
		return true // not Linux
	}
	for line := range strings.Lines(string(status)) {
		if set, ok := strings.CutPrefix(line, "CapEff:"); ok {
			effective, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return err != nil || effective&chown != 0
		}
	}
	return true
}

// cause is what went wrong with a file, without its path, which the message has already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}
