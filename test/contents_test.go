package test

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

var writeContents = flag.String(
	"contents", "",
	"the file to write the page about the image's contents to, instead of comparing it with docs/evidence/contents.md",
)

// TestContents compares docs/evidence/contents.md with what the programs are compiled from. test/image/run compares it with the image.
func TestContents(t *testing.T) {
	modules := map[string]string{} // by platform
	for _, platform := range []string{"amd64", "arm64"} {
		programs := map[string][]string{} // by module
		for _, program := range []string{"pipe", "pipe/bitbucket-oidc"} {
			for _, module := range linkedModules(t, program, platform) {
				programs[module] = append(programs[module], "`"+path.Base(program)+"`")
			}
		}
		for _, module := range slices.Sorted(maps.Keys(programs)) {
			modules[platform] += "| " + module + " | " + strings.Join(programs[module], ", ") + " |\n"
		}
	}
	if modules["amd64"] != modules["arm64"] {
		t.Fatalf("the platforms differ, and the page has one list for both:\n%s\n%s", modules["amd64"], modules["arm64"])
	}
	page := contentsHead + modules["amd64"]
	if *writeContents != "" {
		if err := os.WriteFile(*writeContents, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if written, err := os.ReadFile("../docs/evidence/contents.md"); err != nil || string(written) != page {
		t.Errorf("docs/evidence/contents.md is not what the program is made of (%v): make contents", err)
	}
}

// linkedModules are the modules that a program is compiled from, with their versions, sorted.
func linkedModules(t *testing.T, program, platform string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-tags", "grpcnotrace", "-deps", // as the Dockerfile
		"-f", "{{with .Module}}{{if not .Main}}`{{.Path}}` | {{with .Replace}}`{{.Path}}`{{else}}{{.Version}}{{end}}{{end}}{{end}}", "bitbucket-oidc/"+program)
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+platform)
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(out)), "\n") // one for each package
	slices.Sort(rows)
	return slices.Compact(rows)
}

const contentsHead = `# What the image holds

Written by ` + "`make contents`" + `. ` + "`make image`" + ` fails when the image holds another file, or one of another mode or owner. Each release
attaches to the image, signed, a bill of materials in CycloneDX's form for each program and platform, made by ` + "`.ci/sbom`" + `, with the hashes
of the modules and of the programs. The same sources, the same image of Go (` + "`GO_IMAGE`" + ` in ` + "`.ci/images`" + `) and the
build arguments of ` + "`.ci/release`" + ` make the same image, to the digest: build it yourself and compare.

| File | Mode | Owner | What |
|---|---|---|---|
| ` + "`/pipe`" + ` | 0755 | 0:0 | the program that signs in, static |
| ` + "`/bitbucket-oidc`" + ` | 0755 | 0:0 | the program that decides who gets in, static |
| ` + "`/etc/ssl/certs/ca-certificates.crt`" + ` | 0644 | 0:0 | the certificate authorities of the image that built it |
| ` + "`/README.md`, `/CHANGELOG.md`, `/CONTRIBUTING.md`, `/SECURITY.md`, `/docs`, `/pipe.yml`" + ` | 0644 | 0:0 | the pages that describe it |

There is no shell, no package manager and no other program.

The programs are made of Go's standard library and these modules. Where a folder of this repository stands in place of a version, an empty
package is compiled in and the module itself is not in the program: Google's clients have no such package to start a program from, or to ask.

| Module | Version | In |
|---|---|---|
`
