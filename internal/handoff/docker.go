package handoff

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"strings"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/shell"
)

const (
	dockerDir  = "docker"
	dockerFile = federation.DockerConfig
)

// docker is docker/config.json. Because DOCKER_CONFIG leads there, Docker itself writes to it between two logins; what does not belong
// to a backend stays as it is.
type docker struct {
	rest  map[string]json.RawMessage // all but auths
	auths map[string]json.RawMessage // by host
}

// readDocker reads the file of a generation, which may not exist.
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

// linked are the folders of ~/.docker that Docker needs beside its config.json: programs that extend Docker, and what these programs
// and `docker context` keep there.
func linked() []string { return []string{"cli-plugins", "contexts", "buildx"} }

// dockerEnv leads Docker, and podman, buildah and skopeo, to docker/config.json, to which Docker prefers the logins of
// DOCKER_AUTH_CONFIG from 28.3 on (docker/cli, cli/config/configfile/file.go). The links are made when env.sh is sourced: the
// image of the pipe does not have the home directory of the step.
func (d *Dir) dockerEnv() string {
	const each = "bitbucket_oidc_folder"
	dir := shell.Word(d.Path(dockerDir))
	return "export DOCKER_CONFIG=" + dir + "\nexport REGISTRY_AUTH_FILE=" + shell.Word(d.Path(dockerFile)) + "\n" +
		"unset -v DOCKER_AUTH_CONFIG\n" +
		"for " + each + " in " + strings.Join(linked(), " ") + "; do\n" +
		"\tif test -e \"${HOME:-}/.docker/$" + each + "\" && ! test -e " + dir + "/\"$" + each + "\"; then\n" +
		"\t\tln -sf \"$HOME/.docker/$" + each + "\" " + dir + "/\"$" + each + "\" || :\n" +
		"\tfi\ndone\nunset -v " + each + "\n"
}

// unlink removes the links that env.sh has made in a generation, and nothing that Docker keeps there itself.
func unlink(out *os.Root, generation string) {
	for _, name := range linked() {
		link := generation + "/" + dockerDir + "/" + name
		if target, err := out.Readlink(link); err == nil && strings.HasSuffix(target, "/.docker/"+name) {
			_ = out.Remove(link)
		}
	}
}
