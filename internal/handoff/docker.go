package handoff

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/nowait"
)

const (
	dockerDir  = "docker"
	dockerFile = federation.DockerConfig
)

// docker is docker/config.json. Since DOCKER_CONFIG leads there, Docker itself writes to it between two logins; what is
// not a backend's stays as it is.
type docker struct {
	rest  map[string]json.RawMessage // all but auths
	auths map[string]json.RawMessage // by host
}

// readDocker reads what a generation has of it, which may be nothing.
func readDocker(out *os.Root, generation string) (docker, error) {
	if generation == "" {
		return docker{}, nil
	}
	data, err := nowait.ReadIn(out, generation+"/"+dockerFile, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return docker{}, nil
	}
	if err != nil {
		return docker{}, err
	}
	var d docker
	if err := json.Unmarshal(data, &d.rest); err != nil {
		return docker{}, err
	}
	if auths, ok := d.rest["auths"]; ok {
		if err := json.Unmarshal(auths, &d.auths); err != nil {
			return docker{}, err
		}
		delete(d.rest, "auths")
	}
	return d, nil
}

// with replaces the logins of the backends that are logged in anew.
func (d docker) with(kept, fresh []backend) docker {
	next := docker{maps.Clone(d.rest), maps.Clone(d.auths)}
	if next.auths == nil {
		next.auths = map[string]json.RawMessage{}
	}
	for _, f := range fresh {
		for _, old := range kept {
			if old.Name == f.Name {
				for _, host := range old.Registries {
					delete(next.auths, host)
				}
			}
		}
	}
	for _, f := range fresh {
		for _, r := range f.logins {
			pair := base64.StdEncoding.EncodeToString([]byte(r.Username + ":" + r.Password.Reveal()))
			next.auths[r.Host], _ = json.Marshal(map[string]string{"auth": pair}) // strings: cannot fail
		}
	}
	return next
}

func (d docker) empty() bool { return len(d.rest) == 0 && len(d.auths) == 0 }

func (d docker) file() []byte {
	all := map[string]any{"auths": d.auths}
	for name, value := range d.rest {
		all[name] = value
	}
	return marshal(all)
}
