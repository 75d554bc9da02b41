package test

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var writeContents = flag.String("contents", "", "the file to write the page about the image's contents to, in place of comparing it with docs/contents.md")

// TestContents holds docs/contents.md to what the program is compiled from. test/image/run holds the image to it.
func TestContents(t *testing.T) {
	modules := map[string]string{} // by platform
	for _, platform := range []string{"amd64", "arm64"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps",
			"-f", "{{with .Module}}{{if not .Main}}| `{{.Path}}` | {{.Version}} |{{end}}{{end}}", "bitbucket-oidc/pipe")
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+platform)
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.Split(strings.TrimSpace(string(out)), "\n") // one for each package
		slices.Sort(rows)
		modules[platform] = strings.Join(slices.Compact(rows), "\n") + "\n"
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
	if written, err := os.ReadFile("../docs/contents.md"); err != nil || string(written) != page {
		t.Errorf("docs/contents.md is not what the program is made of (%v): make contents", err)
	}
}

const contentsHead = `# What the image holds

Written by ` + "`make contents`" + `. ` + "`make image`" + ` fails when the image holds another file, or one of another mode or owner. The pipeline of
each release keeps, as an artifact, a bill of materials in CycloneDX's form for each platform, made by ` + "`.ci/sbom`" + `, with the hashes
of the modules and of the program. The same sources, the same image of Go (` + "`GO_IMAGE`" + `, with the digest that the release's log has) and the
build arguments of ` + "`bitbucket-pipelines.yml`" + ` make the same image, to the digest: build it yourself and compare.

| File | Mode | Owner | What |
|---|---|---|---|
| ` + "`/pipe`" + ` | 0755 | 0:0 | the program, static |
| ` + "`/etc/ssl/certs/ca-certificates.crt`" + ` | 0644 | 0:0 | the certificate authorities of the image that built it |
| ` + "`/README.md`, `/pipe.yml`" + ` | 0644 | 0:0 | the pages that describe it |

There is no shell, no package manager and no other program.

The program is made of Go's standard library and these modules:

| Module | Version |
|---|---|
`
