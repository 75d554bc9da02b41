package peers

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Sigstore's transparency log is not in reach of a test, so the program that .ci/release calls leaves it out. Everything else that cosign
// does is its own.
const cosignWithoutLog = `#!/bin/sh
case "$1" in
sign | attest) exec "$COSIGN" "$@" --tlog-upload=false ;;
verify*) exec "$COSIGN" "$@" --insecure-ignore-tlog ;;
esac
`

// Docker would build the image: here it is in the registry already, under its digest.
const dockerWithoutBuild = `#!/bin/sh
case "$*" in
"buildx imagetools inspect --format "*) cat "$STATE/tagged" ;;
"buildx imagetools inspect "*) echo "ERROR: not found" >&2; exit 1 ;;
"buildx imagetools create "*) printf %s "$BUILT" >"$STATE/tagged" ;;
"buildx build "*)
    while [ "$1" != --metadata-file ]; do shift; done
    printf '{"containerimage.digest": "%s"}\n' "$BUILT" >"$2" ;;
esac
`

// TestRelease runs .ci/release with the real cosign and a real registry, and verifies the image as SECURITY.md tells users to.
func TestRelease(t *testing.T) {
	t.Parallel()
	ci, err := filepath.Abs("../../.ci")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(ci, "cosign"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`cosign@(\S+)`).FindSubmatch(script)[1]
	program, err := cached("cosign-"+string(version), func(dir string) error {
		return quietly(exec.CommandContext(t.Context(), filepath.Join(ci, "cosign"), dir))
	})
	if err != nil {
		verdicts.skip(t, "cosign", "not built: "+err.Error())
	}
	verdicts.ran("cosign")

	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	account := strings.TrimPrefix(server.URL, "http://") + "/acme"
	built := pushRandom(t, account+"/bitbucket-oidc")
	dir := releaseOf(t, ci, account)
	env := append(os.Environ(),
		"HOME="+dir, "TMPDIR="+dir, "STATE="+dir, "BUILT="+built, "COSIGN="+filepath.Join(program, "cosign"), "COSIGN_PASSWORD=a phrase",
		"PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"),
		"BITBUCKET_TAG=1.2.3", "BITBUCKET_COMMIT=0123abcd", "BITBUCKET_BUILD_NUMBER=7",
		"BITBUCKET_GIT_HTTP_ORIGIN=https://bitbucket.org/acme/bitbucket-oidc", "REGISTRY_ACCOUNT="+account, "REGISTRY_PASSWORD=unused")
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(filepath.Join(program, "cosign"), "generate-key-pair"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	key, err := os.ReadFile(filepath.Join(dir, "cosign.key"))
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "COSIGN_PRIVATE_KEY="+string(key))
	out, err := run(filepath.Join(dir, ".ci/release"), "publish")
	if image := account + "/bitbucket-oidc:1.2.3@" + built; err != nil || !strings.HasSuffix(strings.TrimSpace(out), image) {
		t.Fatalf("%v, want as last line %s\n%s", err, image, out)
	}

	image := account + "/bitbucket-oidc@" + built
	for _, c := range []struct{ command, want string }{
		{"verify", `"docker-manifest-digest":"` + built + `"`},
		{"verify-attestation --type slsaprovenance1", `"payloadType":"application/vnd.in-toto+json"`},
		{"verify-attestation --type cyclonedx", `"payloadType":"application/vnd.in-toto+json"`},
	} {
		verify := append([]string{"dist/cosign"}, strings.Fields(c.command)...)
		if out, err := run(append(verify, "--key", "cosign.pub", image)...); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v, want %s\n%s", c.command, err, c.want, out)
		}
	}
	other := account + "/bitbucket-oidc@" + pushRandom(t, account+"/bitbucket-oidc")
	if out, err := run("dist/cosign", "verify", "--key", "cosign.pub", other); err == nil {
		t.Errorf("an image that nobody signed passes:\n%s", out)
	}
}

// releaseOf is a checkout that is ready to be released as 1.2.3 to an account of a registry.
func releaseOf(t *testing.T, ci, account string) string {
	t.Helper()
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join(ci, "release"))
	if err != nil {
		t.Fatal(err)
	}
	pinned := "@sha256:" + strings.Repeat("1", 64)
	files := map[string]string{
		".ci/release":             string(script),
		".ci/images":              "GO_IMAGE=golang:1.26" + pinned + "\nBUILDKIT_IMAGE=moby/buildkit" + pinned + "\n",
		"bitbucket-pipelines.yml": "image: golang:1.26" + pinned + "\n",
		"pipe.yml":                fmt.Sprintf("image: %s/bitbucket-oidc:1.2.3\n", account),
		"CHANGELOG.md":            "## 1.2.3 - 2026-12-01\n",
		"bin/docker":              dockerWithoutBuild,
		"dist/cosign":             cosignWithoutLog,
	}
	for _, program := range []string{"pipe", "bitbucket-oidc"} {
		for _, platform := range []string{"amd64", "arm64"} {
			files["dist/"+program+"-1.2.3-linux-"+platform+".cdx.json"] = `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}`
		}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pushRandom puts an image into a repository, without a tag, and returns its digest.
func pushRandom(t *testing.T, repository string) string {
	t.Helper()
	image, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reference, err := name.NewDigest(repository + "@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, image); err != nil {
		t.Fatal(err)
	}
	return digest.String()
}
