// Package packers finds the tools that would pack the output directory along with the checkout: into an upload, an image, or an
// archive. Git leaves the directory alone by its own .gitignore, which none of these tools reads there.
//
// It reads the checkout. A file that it cannot read counts as one that does not keep the directory out.
package packers

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/nowait"
)

const (
	maxFile  = 1 << 20 // a pull request controls the files
	maxFiles = 200     // of Terraform's in one folder
)

// A Leak is a tool that would take the output directory along.
type Leak struct {
	Tool    string // for people
	Because string // the file that shows that the tool is used, below the checkout
	Ignore  string // the file in which a line keeps the directory out, below the checkout; empty if the tool has none
	Under   string // where in that file, such as package.patterns, or empty
	Line    string // to add there
	Advice  string // what else to know, or what to do if the tool has no such file; or empty
}

// Find looks in each folder between the build directory and the output directory, a clean path below it, since a tool packs the
// folder that holds its file.
func Find(clone, output string) []Leak {
	root, err := nowait.Folder(clone)
	if err != nil {
		return nil
	}
	defer root.Close()
	var leaks []Leak
	for at := path.Dir(output); ; at = path.Dir(at) {
		f := folder{at: at, output: strings.TrimPrefix(output, strings.TrimPrefix(at+"/", "./")), read: func(name string) (string, bool) {
			data, err := nowait.ReadIn(root, path.Join(at, name), maxFile)
			return string(data), err == nil
		}}
		entries, _ := nowait.List(root, at)
		for _, e := range entries {
			if !e.IsDir() {
				f.files = append(f.files, e.Name())
			}
		}
		leaks = append(leaks, f.leaks()...)
		if at == "." {
			return leaks
		}
	}
}

// A folder is a folder that a tool may pack.
type folder struct {
	at     string // below the checkout
	output string // the output directory, below this folder
	files  []string
	read   func(name string) (text string, ok bool)
}

func (f folder) has(names ...string) (string, bool) {
	for _, name := range names {
		if slices.Contains(f.files, name) {
			return name, true
		}
	}
	return "", false
}

func (f folder) leaks() []Leak {
	var leaks []Leak
	for _, look := range []func(folder) (Leak, bool){folder.gcloud, folder.docker, folder.terraform, folder.serverless, folder.sam} {
		if leak, found := look(f); found {
			leak.Because = path.Join(f.at, leak.Because)
			if leak.Ignore != "" {
				leak.Ignore = path.Join(f.at, leak.Ignore)
			}
			leaks = append(leaks, leak)
		}
	}
	return leaks
}

// gcloud uploads a folder for `builds submit`, `app deploy`, `functions deploy` and `run deploy --source`. Without a .gcloudignore it
// leaves out .git and what the top .gitignore names; a line `#!include:FILE` takes another file in (`gcloud topic gcloudignore`).
func (f folder) gcloud() (Leak, bool) {
	because, found := f.has("app.yaml", "cloudbuild.yaml", "cloudbuild.json")
	if !found {
		return Leak{}, false
	}
	leak := Leak{Tool: "gcloud", Because: because, Ignore: ".gcloudignore", Line: escaped(f.output) + "/"}
	text, ok := f.read(leak.Ignore)
	if !ok {
		text = ".git\n#!include:.gitignore\n"
		leak.Advice = "where there is no .gcloudignore yet, give it the lines .git and #!include:.gitignore as well: it takes the place of these"
	}
	var lines []string
	for line := range strings.Lines(text) {
		if included, ok := strings.CutPrefix(strings.TrimSpace(line), "#!include:"); ok && !strings.Contains(included, "/") {
			more, _ := f.read(included)
			lines = append(lines, strings.Split(more, "\n")...)
			continue
		}
		lines = append(lines, line)
	}
	return leak, !dialect{anywhere: true}.ignores(lines, f.output)
}

// docker sends the build's context, which is usually the folder, whichever of its Dockerfiles is built. Each Dockerfile can have an
// ignore file of its own (Docker, "Build context", .dockerignore files).
func (f folder) docker() (Leak, bool) {
	for _, name := range f.files {
		if !isDockerfile(name) {
			continue
		}
		leak := Leak{Tool: "docker build", Because: name, Ignore: ".dockerignore", Line: escaped(f.output)}
		if own, found := f.has(name + ".dockerignore"); found {
			leak.Ignore = own
		}
		text, _ := f.read(leak.Ignore)
		if !(dialect{within: true}).ignores(cleaned(text), f.output) {
			return leak, true
		}
	}
	return Leak{}, false
}

// isDockerfile reports whether a file has a name such as Dockerfile, Dockerfile.web or web.Dockerfile.
func isDockerfile(name string) bool {
	name = strings.ToLower(name)
	for _, kind := range []string{"dockerfile", "containerfile"} {
		if name == kind || strings.HasPrefix(name, kind+".") && !strings.HasSuffix(name, ".dockerignore") || strings.HasSuffix(name, "."+kind) {
			return true
		}
	}
	return false
}

// terraform uploads the folder of a configuration that runs at HCP Terraform. It always leaves .git out (hashicorp/go-slug).
func (f folder) terraform() (Leak, bool) {
	because, looked := "", 0
	for _, name := range f.files {
		if !strings.HasSuffix(name, ".tf") && !strings.HasSuffix(name, ".tf.json") || looked == maxFiles {
			continue
		}
		looked++
		if text, _ := f.read(name); runsRemotely(text) {
			because = name
			break
		}
	}
	if because == "" || inGit(f.output) {
		return Leak{}, false
	}
	leak := Leak{Tool: "terraform", Because: because, Ignore: ".terraformignore", Line: escaped(f.output) + "/"}
	text, _ := f.read(leak.Ignore)
	return leak, !dialect{anywhere: true, whole: true, within: true}.ignores(trimmed(text), f.output)
}

// runsRemotely reports whether a file of Terraform's has a `cloud` block or a backend "remote".
func runsRemotely(text string) bool {
	text = regexp.MustCompile(`(?s)/\*.*?\*/|(?m:(?:^|\s)(?:#|//).*$)`).ReplaceAllString(text, "\n")
	return regexp.MustCompile(`(?s)\bterraform\s*\{.*?(?:\bcloud\s*\{|\bbackend\s*"remote"\s*\{)`).MatchString(text) ||
		regexp.MustCompile(`(?s)"terraform"\s*:.*?"(?:cloud|remote)"\s*:`).MatchString(text)
}

// sam is AWS SAM and `aws cloudformation package`, which zip the folder of a CodeUri whole.
func (f folder) sam() (Leak, bool) {
	because, found := f.has("template.yaml", "template.yml")
	return Leak{
		Tool: "AWS SAM", Because: because,
		Advice: "AWS SAM and `aws cloudformation package` have no ignore file: point each CodeUri at a folder that does not hold " + f.output,
	}, found
}

// inGit reports whether the directory is inside .git, which some tools leave out by themselves.
func inGit(output string) bool { return strings.HasPrefix(output, ".git/") }
