package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A release cannot be tried here: there is no registry to push to. These tests run .ci/release with stand-ins for docker and cosign,
// which note how they were called, and look at what the pipeline would do.

const (
	fakeDocker = `#!/bin/sh
echo "docker $*" >>"$CALLS"
case "$*" in
"buildx imagetools inspect --format "*) echo "$TAGGED" ;;
"buildx imagetools inspect "*) echo "$THERE" >&2; [ "$THERE" = there ] ;;
"buildx build "*)
    while [ "$1" != --metadata-file ]; do shift; done
    printf '{\n  "containerimage.digest": "%s"\n}\n' "$BUILT" >"$2" ;;
"login "*) grep -qx secret-password ;;
esac
`
	fakeCosign = `#!/bin/sh
echo "cosign $*" >>"$CALLS"
[ "$1" != "$COSIGN_FAILS" ]
`
)

func sha(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// releaseCheckout is a checkout that is ready to be released as 1.2.3.
func releaseCheckout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put(".ci/release", docPage(t, ".ci/release"), 0o755)
	put(".ci/images", regexp.MustCompile(`(?m)^([A-Z_]+=\S+)$`).ReplaceAllString(docPage(t, ".ci/images"), "${1}@"+sha("1")), 0o644)
	put("bitbucket-pipelines.yml", regexp.MustCompile(`(?m)^( *image: \S+)$`).ReplaceAllString(docPage(t, "bitbucket-pipelines.yml"), "${1}@"+sha("2")), 0o644)
	put("pipe.yml", "image: acme/bitbucket-oidc:1.2.3\n", 0o644)
	put("CHANGELOG.md", "## 1.2.3 - 2026-12-01\n", 0o644)
	put("cosign.pub", "-----BEGIN PUBLIC KEY-----\n", 0o644)
	put("dist/cosign", fakeCosign, 0o755)
	for _, program := range []string{"pipe", "bitbucket-oidc"} {
		for _, platform := range []string{"amd64", "arm64"} {
			put("dist/"+program+"-1.2.3-linux-"+platform+".cdx.json", "{}", 0o644)
		}
	}
	put("bin/docker", fakeDocker, 0o755)
	return dir
}

func runRelease(t *testing.T, dir, command string, env []string) (output string, calls []string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, ".ci/release"), command)
	cmd.Env = slices.Concat([]string{
		"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "CALLS=" + filepath.Join(dir, "calls"), "TMPDIR=" + dir,
		"BITBUCKET_TAG=1.2.3", "BITBUCKET_COMMIT=0123abcd", "BITBUCKET_BUILD_NUMBER=7", "BITBUCKET_GIT_HTTP_ORIGIN=https://bitbucket.org/acme/bitbucket-oidc",
		"REGISTRY_ACCOUNT=acme", "REGISTRY_PASSWORD=secret-password", "COSIGN_PRIVATE_KEY=secret-key", "COSIGN_PASSWORD=secret-phrase",
		"THERE=ERROR: docker.io/acme/bitbucket-oidc:1.2.3: not found", "BUILT=" + sha("a"), "TAGGED=" + sha("a"), "COSIGN_FAILS=",
	}, env)
	out, err := cmd.CombinedOutput()
	data, _ := os.ReadFile(filepath.Join(dir, "calls"))
	return string(out), strings.Split(strings.TrimSpace(string(data)), "\n"), err
}

func TestReleaseSignsBeforeItTags(t *testing.T) {
	output, calls, err := runRelease(t, releaseCheckout(t), "publish", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	image, built := "acme/bitbucket-oidc:1.2.3", "acme/bitbucket-oidc@"+sha("a")
	at := -1
	for _, want := range []string{
		"docker login --username acme --password-stdin",
		"docker buildx imagetools inspect " + image,
		"docker buildx create --use --driver docker-container --driver-opt image=moby/buildkit:buildx-stable-1@" + sha("1"),
		"docker buildx build --platform linux/amd64,linux/arm64 --provenance=false --build-arg GO_IMAGE=golang:1.26@" + sha("1"),
		"cosign sign --yes --key env://COSIGN_PRIVATE_KEY " + built,
		"cosign attest --yes --key env://COSIGN_PRIVATE_KEY --type slsaprovenance1 --predicate ",
		"cosign attest --yes --key env://COSIGN_PRIVATE_KEY --type cyclonedx --predicate dist/bitbucket-oidc-1.2.3-linux-amd64.cdx.json " + built,
		"cosign attest --yes --key env://COSIGN_PRIVATE_KEY --type cyclonedx --predicate dist/pipe-1.2.3-linux-arm64.cdx.json " + built,
		"cosign verify --key cosign.pub " + built,
		"docker buildx imagetools create --tag " + image + " " + built,
	} {
		i := slices.IndexFunc(calls, func(call string) bool { return strings.HasPrefix(call, want) })
		if i <= at {
			t.Fatalf("%q is call %d, after call %d:\n%s", want, i, at, strings.Join(calls, "\n"))
		}
		at = i
	}
	if all := output + strings.Join(calls, "\n"); strings.Contains(all, "secret-") {
		t.Errorf("a secret in the output or on a command line:\n%s", all)
	}
	if !strings.HasSuffix(strings.TrimSpace(output), image+"@"+sha("a")) {
		t.Errorf("the last line is not the image by its digest:\n%s", output)
	}
}

func TestReleaseRefuses(t *testing.T) {
	change := func(name, old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(data), old) {
				t.Fatalf("%s: %v, or without %q", name, err, old)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		env    []string
		want   string
		push   bool // whether it comes as far as to push what has no tag
	}{
		{name: "a tag that is no version", env: []string{"BITBUCKET_TAG=latest"}, want: "latest is not a version"},
		{name: "a tag with more behind it", env: []string{"BITBUCKET_TAG=1.2.3-rc1"}, want: "is not a version"},
		{name: "pipe.yml runs another image", change: change("pipe.yml", "1.2.3", "1.2.2"), want: "pipe.yml must say"},
		{name: "the changelog has no date", change: change("CHANGELOG.md", "2026-12-01", "unreleased"), want: "CHANGELOG.md must have"},
		{name: "Go's image has no digest", change: change(".ci/images", "@"+sha("1"), ""), want: "not pinned by digest (see .ci/release pins): golang:1.26"},
		{name: "BuildKit's has half of one", change: change(".ci/images", "stable-1@"+sha("1"), "stable-1@sha256:11"), want: "moby/buildkit"},
		{name: "a step's image has none", change: change("bitbucket-pipelines.yml", "28-cli@"+sha("2"), "28-cli"), want: "docker:28-cli"},
		{name: "no public key", change: remove("cosign.pub"), want: "cosign.pub is missing"},
		{name: "no cosign", change: remove("dist/cosign"), want: "dist/cosign is missing"},
		{name: "no bill of materials", change: remove("dist/pipe-1.2.3-linux-arm64.cdx.json"), want: "no bill of materials of pipe for arm64"},
		{name: "no password", env: []string{"REGISTRY_PASSWORD="}, want: "REGISTRY_PASSWORD is not set: it belongs to the deployment environment release"},
		{name: "no key", env: []string{"COSIGN_PRIVATE_KEY="}, want: "COSIGN_PRIVATE_KEY is not set"},
		{name: "the tag exists", env: []string{"THERE=there"}, want: "acme/bitbucket-oidc:1.2.3 exists"},
		{name: "the registry does not say", env: []string{"THERE=unexpected status 503"}, want: "is not known: unexpected status 503"},
		{name: "the build names no digest", env: []string{"BUILT="}, want: "no digest", push: true},
		{name: "signing fails", env: []string{"COSIGN_FAILS=sign"}, push: true},
		{name: "attesting fails", env: []string{"COSIGN_FAILS=attest"}, push: true},
		{name: "another key", env: []string{"COSIGN_FAILS=verify"}, want: "cosign.pub is not the key that signs", push: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := releaseCheckout(t)
			if c.change != nil {
				c.change(t, dir)
			}
			output, calls, err := runRelease(t, dir, "publish", c.env)
			if err == nil || !strings.Contains(output, c.want) {
				t.Errorf("%v, want %q:\n%s", err, c.want, output)
			}
			for _, call := range calls {
				if strings.Contains(call, "imagetools create") || strings.Contains(call, "buildx build") && !c.push {
					t.Errorf("it called %s", call)
				}
			}
		})
	}
}

// The files in the repository have no digests yet: the person who releases looks them up. The check must say so.
func TestReleaseOfTodayNamesWhatIsNotPinned(t *testing.T) {
	dir := releaseCheckout(t)
	for _, name := range []string{".ci/images", "bitbucket-pipelines.yml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(docPage(t, name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	output, _, err := runRelease(t, dir, "check", nil)
	for _, name := range []string{"golang:1.26", "moby/buildkit:buildx-stable-1", "docker:28-cli"} {
		pinned := regexp.MustCompile(regexp.QuoteMeta(name) + `@sha256:[0-9a-f]{64}`).MatchString(docPage(t, ".ci/images") + docPage(t, "bitbucket-pipelines.yml"))
		if !pinned && (err == nil || !strings.Contains(output, name)) {
			t.Errorf("%v, without %s:\n%s", err, name, output)
		}
	}
}

// Steps of a tag take nothing from caches that a branch or a pull request may have filled, and only the last has secrets.
func TestTagStepsHaveNoCaches(t *testing.T) {
	type step struct {
		Caches     []string
		Deployment string
		Script     []string
	}
	var file struct {
		Pipelines struct {
			Tags map[string][]struct{ Step step }
		}
	}
	if err := yaml.Unmarshal([]byte(docPage(t, "bitbucket-pipelines.yml")), &file); err != nil {
		t.Fatal(err)
	}
	for tag, steps := range file.Pipelines.Tags {
		for i, s := range steps {
			if len(s.Step.Caches) > 0 || len(s.Step.Script) == 0 {
				t.Errorf("%s: step %d has caches %q, or no script", tag, i+1, s.Step.Caches)
			}
			if last := i == len(steps)-1; last != (s.Step.Deployment == "release") {
				t.Errorf("%s: step %d has the deployment %q", tag, i+1, s.Step.Deployment)
			}
		}
	}
	if len(file.Pipelines.Tags) == 0 {
		t.Error("nothing runs on tags")
	}
}

// A dependency at a commit that was never released was read by nobody but its authors. What has no releases at all is listed.
func TestModulesAreReleases(t *testing.T) {
	never := []string{"golang.org/x/exp", "google.golang.org/genproto/googleapis/api", "google.golang.org/genproto/googleapis/rpc"}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S*[-.]\d{14}-[0-9a-f]{12}`).FindAllStringSubmatch(docPage(t, "go.mod"), -1) {
		if !slices.Contains(never, m[1]) {
			t.Errorf("go.mod has %s at an unreleased commit", m[1])
		}
	}
}
