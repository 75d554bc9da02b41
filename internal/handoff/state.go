package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/secret"
)

// state is what a generation keeps of each backend, so that the next login of the step can write env.sh and summary.json
// anew with the backends that it does not name. It holds no secret.
type state struct {
	Version  int       `json:"version"`
	Subject  string    `json:"subject"` // of the token: every step run has a new one
	Backends []backend `json:"backends"`
	Made     []string  `json:"made,omitempty"` // the folders on the way that login made, outermost first
}

type backend struct {
	Name        string       `json:"name"`
	Credentials []credential `json:"credentials"`
	Env         []variable   `json:"env"`
	Registries  []string     `json:"registries,omitempty"` // hosts that Docker is logged in to
	files       []federation.File
	logins      []federation.Registry // of this login
}

// credential is an entry of summary.json.
type credential struct {
	Backend   string     `json:"backend"`
	Name      string     `json:"name"`
	Principal string     `json:"principal"`
	Expires   *time.Time `json:"expires,omitempty"`
	Files     []string   `json:"files"`
}

type variable struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	File  string `json:"file,omitempty"`
	Unset bool   `json:"unset,omitempty"`

	Guess []string `json:"guess,omitempty"`

	Contents string `json:"contents,omitempty"`
	Key      string `json:"key,omitempty"`
}

const (
	stateVersion = 1
	stateFile    = "state.json"
	summaryFile  = "summary.json"
	envFile      = "env.sh"
	current      = ".current"

	// maxFile caps what is read of one file of an earlier login, and maxKept what is read of all.
	maxFile = 1 << 20
	maxKept = 4 << 20
)

// generationPrefix begins the name of a generation; 16 hexadecimal digits end it.
const generationPrefix = ".gen-"

func isGeneration(name string) bool {
	id, ok := strings.CutPrefix(name, generationPrefix)
	return ok && charset.Only(id, "0-9a-f", 16, 16)
}

func isHost(s string) bool { return charset.Only(s, charset.LowerName+".:", 1, 255) }

func isVariable(s string) bool {
	return charset.Only(s, charset.Word, 1, 128) && !charset.Only(s[:1], charset.Digit, 1, 1)
}

// fromGrant turns what a backend obtained into what is kept of it.
func fromGrant(g federation.Grant) (backend, error) {
	b := backend{Name: g.Backend, files: g.Files, logins: g.Registries}
	for _, c := range g.Credentials {
		entry := credential{Backend: g.Backend, Name: c.Name, Principal: c.Principal, Files: c.Files}
		if !c.Expires.IsZero() {
			expires := c.Expires.UTC().Truncate(time.Second)
			if year := expires.Year(); year < 1970 || year > 9999 {
				return backend{}, hint.New(fmt.Sprintf("%s %s: the expiry date is out of range", g.Backend, c.Name),
					"something other than the service may have answered: look at the endpoint variables and the proxy")
			}
			entry.Expires = &expires
		}
		b.Credentials = append(b.Credentials, entry)
	}
	for _, r := range g.Registries {
		b.Registries = append(b.Registries, r.Host)
	}
	for _, v := range g.Env {
		b.Env = append(b.Env, variable(v))
	}
	for _, v := range b.Env {
		if !sets(b.Name, v.Name) && b.Name != "oauth" { // for which the variables are checked with the others
			return backend{}, fmt.Errorf("%s: %s is not in the list of its variables (internal/handoff)", b.Name, v.Name)
		}
	}
	return b, b.check()
}

func (b backend) indexOf(path string) int {
	return slices.IndexFunc(b.files, func(f federation.File) bool { return f.Path == path })
}

// check holds a backend to what may stand in the output directory, whether it comes from this login or from the files of
// an earlier one, which the checkout could have brought.
func (b backend) check() error {
	if !charset.Only(b.Name, "a-z0-9", 1, 32) {
		return errors.New("a backend without a proper name")
	}
	own := func(path string) bool {
		file, ok := strings.CutPrefix(path, b.Name+"/")
		return ok && charset.Only(file, charset.LowerName+".", 1, 64) && file[0] != '.'
	}
	for _, c := range b.Credentials {
		if c.Backend != b.Name || slices.ContainsFunc(c.Files, func(f string) bool { return !own(f) && f != dockerFile }) {
			return fmt.Errorf("%s: a file outside its folder", b.Name)
		}
	}
	if slices.ContainsFunc(b.Registries, func(host string) bool { return !isHost(host) }) {
		return fmt.Errorf("%s: a registry that is not a host", b.Name)
	}
	for _, v := range b.Env {
		if !isVariable(v.Name) || strings.ContainsRune(v.Value, 0) || v.File != "" && !own(v.File) || v.Contents != "" && !own(v.Contents) ||
			v.Key != "" && !isVariable(v.Key) ||
			len(v.Guess) > 0 && (!isGuess(v.Value) || slices.ContainsFunc(v.Guess, func(name string) bool { return !isVariable(name) })) {
			return fmt.Errorf("%s: a variable that env.sh cannot hold", b.Name)
		}
	}
	return nil
}

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

// Permissions that a folder of login's own does not have, while one of a checkout may: Bitbucket checks out with a umask of
// zero. A login takes over only what nobody opened; a logout also clears what the step has opened for another user.
const (
	opened   fs.FileMode = 0o077
	writable fs.FileMode = 0o022
)

// errForeign is what lies where login's own files should, and is not theirs.
var errForeign = errors.New("was not written by login")

// earlier reads the state that the last login left, and no other file. Its folder must not have foreign permissions; mine, if
// not nil, reports whether it has an owner whose state counts. A checkout could bring a state as well, so that all of it is
// checked: one that cannot be login's is an errForeign.
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
		return past{generation: generation}, nil // nothing in it is believed
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

// refusal is the error of something that login cannot have written, or that the system does not let it read.
func refusal(what string, err error) error {
	if fails(err) {
		return fmt.Errorf("reading %s: %w", what, cause(err))
	}
	return hint.With(fmt.Errorf("%s %w", what, errForeign), "remove it from the checkout, or set OUTPUT_DIR to another folder; "+
		"if the step opened login's own files to other users, call logout before the next login")
}

// fails reports whether err is the system's and not of what a checkout can bring: a link, a folder or nothing in a file's place.
func fails(err error) bool {
	var code syscall.Errno
	return errors.As(err, &code) && !slices.Contains([]syscall.Errno{syscall.EINVAL, syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.EISDIR}, code)
}

// A reader reads files of an earlier login, and not more of them than a login writes: a state can name any number.
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

// merge puts the fresh backends in the place of those of the same name and keeps the others.
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
