package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/secret"
)

// past is what the last login left.
type past struct {
	generation string // empty if there is none
	state
}

// wrote reports whether login wrote the file at a path below the generation.
func (p past) wrote(path string) bool { return slices.Contains(p.paths(), path) }

// paths are all files that login wrote below the generation, the credentials first.
func (p past) paths() []string {
	var all []string
	for _, b := range p.Backends {
		for _, c := range b.Credentials {
			all = append(all, c.Files...)
		}
	}
	return append(all, dockerFile, envFile, summaryFile, stateFile)
}

// made reports whether login made the folder at a path below the generation.
func (p past) made(path string) bool {
	return path == dockerDir || slices.ContainsFunc(p.Backends, func(b backend) bool { return b.Name == path })
}

// Permissions that a folder of login's own does not have, and a folder of a checkout may have: Bitbucket checks out with a umask of
// zero. A login takes over only what no command has opened to other users; a logout also clears what the step has opened to another
// user.
const (
	opened   fs.FileMode = 0o077
	writable fs.FileMode = 0o022
)

// errForeign is the error of something that login did not write, at a name of login's own files.
var errForeign = errors.New("was not written by login")

// earlier reads the state that the last login left, and no other file. The state's folder must not have foreign permissions; mine, if
// not nil, reports whether the folder's owner is one whose state counts. A checkout could bring a state as well, so everything in
// it is checked: a state that login cannot have written is an errForeign.
func earlier(out *os.Root, foreign fs.FileMode, mine func(fs.FileInfo) bool) (past, error) {
	refuse := func(what string, err error) (past, error) { return past{}, refusal(what, err) }
	generation, err := out.Readlink(current)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return past{}, nil
	case err != nil, !isGeneration(generation):
		return refuse(current, err)
	}
	info, err := out.Lstat(generation)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return past{}, nil // the link of a logout that was killed
	case err != nil, !info.IsDir(), info.Mode().Perm()&foreign != 0:
		return refuse(generation, err)
	case mine != nil && !mine(info):
		return past{generation: generation}, nil // nothing in it counts
	}
	// A state that somebody else has brought is not believed in a folder of login's own either.
	if info, err := out.Lstat(generation + "/" + stateFile); err == nil && mine != nil && !mine(info) {
		return past{generation: generation}, nil
	}
	p, err := stateOf(out, generation)
	if err != nil {
		return refuse(generation, err)
	}
	return p, nil
}

// stateOf reads the state of a generation.
func stateOf(out *os.Root, generation string) (past, error) {
	p := past{generation: generation}
	data, err := nowait.ReadIn(out, generation+"/"+stateFile, maxFile)
	if err != nil {
		return past{}, err
	}
	if json.Unmarshal(data, &p.state) != nil || p.Version != stateVersion {
		return past{}, errForeign
	}
	for i := range p.Backends {
		b := &p.Backends[i]
		if err := b.check(); err != nil {
			return past{}, err
		}
		b.Env = slices.DeleteFunc(b.Env, func(v variable) bool { return !sets(b.Name, v.Name) })
	}
	p.Backends = slices.DeleteFunc(p.Backends, func(b backend) bool { return !isBackend(b.Name) })
	return p, nil
}

// mine reports whether a file belongs to the process's user, or to the owner that it gives files to.
func (d *Dir) mine(info fs.FileInfo) bool {
	uid := ownerOf(info)
	return uid == os.Geteuid() || d.setOwner && uid == d.owner.UID
}

// ownerOf is the user that a file belongs to, or -1 where that is not known.
func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// refusal is the error of something that login cannot have written, or that the system does not let login read.
func refusal(what string, err error) error {
	if fails(err) {
		return fmt.Errorf("reading %s: %w", what, cause(err))
	}
	return hint.With(fmt.Errorf("%s %w", what, errForeign), "remove it from the checkout, or set OUTPUT_DIR to another folder; "+
		"if the step opened login's own files to other users, call logout before the next login")
}

// fails reports whether the system failed. A link, a folder or nothing at the name of a file is not such a failure: a checkout can
// bring it.
func fails(err error) bool {
	var code syscall.Errno
	return errors.As(err, &code) && !slices.Contains([]syscall.Errno{syscall.EINVAL, syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.EISDIR}, code)
}

// A reader reads files of an earlier login, and not more bytes than a login writes: a state can name any number of files.
type reader struct {
	out        *os.Root
	generation string
	left       int64 // bytes that it may still read
}

func (r *reader) read(path string) (secret.Text, error) {
	data, err := nowait.ReadIn(r.out, r.generation+"/"+path, min(maxFile, r.left))
	r.left -= int64(len(data))
	return secret.New(string(data)), err
}

// keep reads the files of the backends that the fresh ones do not replace.
func (p past) keep(out *os.Root, fresh []backend) error {
	r := reader{out, p.generation, maxKept}
	for i := range p.Backends {
		b := &p.Backends[i]
		if slices.ContainsFunc(fresh, func(f backend) bool { return f.Name == b.Name }) {
			continue
		}
		for _, c := range b.Credentials {
			for _, path := range c.Files {
				if path == dockerFile || b.indexOf(path) >= 0 {
					continue
				}
				data, err := r.read(path)
				if errors.Is(err, fs.ErrNotExist) {
					continue // the step has removed it
				}
				if err != nil {
					return refusal(p.generation+"/"+path, err)
				}
				b.files = append(b.files, federation.File{Path: path, Data: data})
			}
		}
	}
	return nil
}

// merge replaces backends by the fresh ones of the same name and keeps the others.
func merge(kept, fresh []backend) []backend {
	all := slices.Clone(kept)
	for _, f := range fresh {
		i := slices.IndexFunc(all, func(b backend) bool { return b.Name == f.Name })
		if i < 0 {
			all = append(all, f)
		} else {
			all[i] = f
		}
	}
	return all
}
