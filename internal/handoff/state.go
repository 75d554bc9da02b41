package handoff

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/secret"
)

// state is what a generation keeps of each backend, so that the next login of the step can write env.sh and summary.json
// anew with the backends that it does not name. It holds no secret.
type state struct {
	Version  int       `json:"version"`
	Backends []backend `json:"backends"`
}

type backend struct {
	Name        string       `json:"name"`
	Credentials []credential `json:"credentials"`
	Env         []variable   `json:"env"`
	Registries  []string     `json:"registries,omitempty"` // hosts that Docker is logged in to
	files       []federation.File
	logins      []login
}

// login is an entry of Docker's config.json.
type login struct {
	host string
	auth secret.Text // base64 of user:password
}

const dockerFile = "docker/config.json"

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

	Contents string `json:"contents,omitempty"`
}

const (
	stateVersion = 1
	stateFile    = "state.json"
	current      = ".current"

	// maxFile caps what is read back of an earlier login.
	maxFile = 1 << 20
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
	b := backend{Name: g.Backend}
	for _, c := range g.Credentials {
		entry := credential{Backend: g.Backend, Name: c.Name, Principal: c.Principal, Files: []string{}}
		if !c.Expires.IsZero() {
			expires := c.Expires.UTC().Truncate(time.Second)
			entry.Expires = &expires
		}
		for _, f := range c.Files {
			entry.Files = append(entry.Files, f.Path)
			i := slices.IndexFunc(b.files, func(have federation.File) bool { return have.Path == f.Path })
			if i < 0 {
				b.files = append(b.files, f)
			} else if b.files[i].Data.Reveal() != f.Data.Reveal() {
				return backend{}, fmt.Errorf("%s: two contents for %s", g.Backend, f.Path)
			}
		}
		if r := c.Registry; r != nil {
			entry.Files = append(entry.Files, dockerFile)
			b.Registries = append(b.Registries, r.Host)
			auth := base64.StdEncoding.EncodeToString([]byte(r.Username + ":" + r.Password.Reveal()))
			b.logins = append(b.logins, login{r.Host, secret.New(auth)})
		}
		b.Credentials = append(b.Credentials, entry)
		for _, v := range c.Env {
			b.Env = append(b.Env, variable(v))
		}
	}
	return b, b.check()
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
	for _, host := range b.Registries {
		if !isHost(host) {
			return fmt.Errorf("%s: a registry that is not a host", b.Name)
		}
	}
	for _, v := range b.Env {
		if !isVariable(v.Name) || strings.ContainsRune(v.Value, 0) || v.File != "" && !own(v.File) || v.Contents != "" && !own(v.Contents) {
			return fmt.Errorf("%s: a variable that env.sh cannot hold", b.Name)
		}
	}
	return nil
}

// earlier reads what the last login left. It returns the name of its generation, empty if there is none.
func earlier(out *os.Root) (string, []backend, error) {
	refuse := func(what string) (string, []backend, error) {
		return "", nil, hint.New(what+" was not written by login",
			"remove it from the checkout, or set OUTPUT_DIR to another folder")
	}
	generation, err := out.Readlink(current)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, nil
	case err != nil, !isGeneration(generation):
		return refuse(current)
	}
	info, err := out.Lstat(generation)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, nil // the link of a logout that was killed
	case err != nil, !info.IsDir(), info.Mode().Perm() != 0o700:
		return refuse(generation)
	}
	data, err := readFile(out, generation+"/"+stateFile)
	if err != nil {
		return refuse(generation)
	}
	var s state
	if json.Unmarshal(data, &s) != nil || s.Version != stateVersion {
		return refuse(generation)
	}
	for i := range s.Backends {
		b := &s.Backends[i]
		if b.check() != nil {
			return refuse(generation)
		}
		for _, c := range b.Credentials {
			for _, path := range c.Files {
				if path == dockerFile || slices.ContainsFunc(b.files, func(have federation.File) bool { return have.Path == path }) {
					continue
				}
				data, err := readFile(out, generation+"/"+path)
				if err != nil {
					return refuse(generation + "/" + path)
				}
				b.files = append(b.files, federation.File{Path: path, Data: secret.New(string(data))})
			}
		}
		if err := b.readLogins(out, generation); err != nil {
			return refuse(generation + "/" + dockerFile)
		}
	}
	return generation, s.Backends, nil
}

// dockerConfig is the part of Docker's config.json that login writes.
type dockerConfig struct {
	Auths map[string]dockerAuth `json:"auths"`
}

type dockerAuth struct {
	Auth string `json:"auth"`
}

// readLogins takes a backend's Docker logins from an earlier docker/config.json.
func (b *backend) readLogins(out *os.Root, generation string) error {
	if len(b.Registries) == 0 {
		return nil
	}
	data, err := readFile(out, generation+"/"+dockerFile)
	if err != nil {
		return err
	}
	var config dockerConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return err
	}
	for _, host := range b.Registries {
		entry, ok := config.Auths[host]
		if _, err := base64.StdEncoding.DecodeString(entry.Auth); !ok || err != nil {
			return errors.New("no login for a registry")
		}
		b.logins = append(b.logins, login{host, secret.New(entry.Auth)})
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

func readFile(root *os.Root, name string) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(data) > maxFile {
		return nil, errors.New("too large")
	}
	return data, err
}
