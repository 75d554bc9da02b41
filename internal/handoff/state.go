package handoff

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
)

// state is what a generation keeps of each backend. With it the next login of the step can write env.sh and summary.json
// again, with the backends that it does not name. It holds no secret.
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

// fromGrant turns what a backend obtained into what the state keeps.
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
		if !sets(b.Name, v.Name) && b.Name != "oauth" { // for which the variables are checked with the others
			return backend{}, fmt.Errorf("%s: %s is not in the list of its variables (internal/handoff)", b.Name, v.Name)
		}
		b.Env = append(b.Env, variable{
			Name: v.Name, Value: v.Value, File: v.File, Unset: v.Unset, Guess: v.Guess, Contents: v.Contents, Key: v.Key,
		})
	}
	return b, b.check()
}

func (b backend) indexOf(path string) int {
	return slices.IndexFunc(b.files, func(f federation.File) bool { return f.Path == path })
}

// check refuses what may not be in the output directory. The backend comes from this login, or from the state of an earlier login,
// which the checkout could have brought.
func (b backend) check() error {
	switch {
	case !charset.Only(b.Name, "a-z0-9", 1, 32):
		return errors.New("a backend without a proper name")
	case !every(b.Credentials, b.isOwn):
		return fmt.Errorf("%s: a file outside its folder", b.Name)
	case !every(b.Registries, isHost):
		return fmt.Errorf("%s: a registry that is not a host", b.Name)
	case !every(b.Env, b.canSet):
		return fmt.Errorf("%s: a variable that env.sh cannot hold", b.Name)
	}
	return nil
}

func every[T any](list []T, right func(T) bool) bool {
	return !slices.ContainsFunc(list, func(one T) bool { return !right(one) })
}

// isOwn reports whether a credential and its files belong to the backend.
func (b backend) isOwn(c credential) bool {
	return c.Backend == b.Name && every(c.Files, func(path string) bool { return path == dockerFile || b.isOwnFile(path) })
}

// isOwnFile reports whether a path is that of a file in the backend's folder.
func (b backend) isOwnFile(path string) bool {
	file, ok := strings.CutPrefix(path, b.Name+"/")
	return ok && charset.Only(file, charset.LowerName+".", 1, 64) && file[0] != '.'
}

// canSet reports whether env.sh can hold a variable.
func (b backend) canSet(v variable) bool {
	switch {
	case !isVariable(v.Name), strings.ContainsRune(v.Value, 0):
		return false
	case v.File != "" && !b.isOwnFile(v.File):
		return false
	case v.Contents != "" && !b.isOwnFile(v.Contents):
		return false
	case v.Key != "" && !isVariable(v.Key):
		return false
	}
	return len(v.Guess) == 0 || isGuess(v.Value) && every(v.Guess, isVariable)
}
