package test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

// Bitbucket kills a step without a warning: at its max-time, when somebody stops it, when the host goes away. At any moment the
// files are those of one login, or there are none.

const (
	killBudget = 1500 * time.Millisecond // for each kind of kill
	killEnough = 30                      // kills in the middle of a change that are proof enough

	poll = 10 * time.Microsecond // a tighter loop would take the processor from the program that it watches
)

// A killed is a build directory whose logins and logouts are killed.
type killed struct {
	t     *testing.T
	bin   string
	world *cloud.World
	clone string
	token string // of the login that was started last
	count int    // of logins, whole or not
}

// newKilled builds the real program and a world for it.
func newKilled(t *testing.T) *killed {
	t.Helper()
	bin, err := program.Build(t.Context(), t.TempDir(), "-ldflags=-w")
	if err != nil {
		t.Fatal(err)
	}
	world, err := cloud.StartWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	return &killed{t: t, bin: bin, world: world, clone: t.TempDir()}
}

// command is a login of a generation of its own, which each file tells in its way, or any other command.
func (k *killed) command(name string) *exec.Cmd {
	cmd := exec.CommandContext(k.t.Context(), k.bin, name)
	cmd.Dir = k.clone
	cmd.Env = []string{"BITBUCKET_CLONE_DIR=" + k.clone}
	if name == "login" {
		k.count++
		step := cloud.DefaultStep()
		step.StepUUID = fmt.Sprintf("{00000000-0000-0000-0000-%012d}", k.count)
		k.token = k.world.Issuer.Token(step)
		cmd.Env = append(cmd.Env,
			"BITBUCKET_STEP_OIDC_TOKEN="+k.token,
			"AWS_OIDC_ROLE_ARN="+cloud.RoleARN,
			"AWS_SESSION_NAME="+generation(k.count),
			"GCP_WORKLOAD_IDENTITY_PROVIDER="+cloud.ProviderName,
			"GCP_PROJECT="+generation(k.count),
			"GCP_DOCKER_REGISTRIES=gcr.io",
		)
		cmd.Env = append(cmd.Env, k.world.Endpoints()...)
	}
	return cmd
}

func generation(n int) string { return fmt.Sprintf("gen-%05d", n) }

// run lets a command finish.
func (k *killed) run(name string) {
	k.t.Helper()
	if out, err := k.command(name).CombinedOutput(); err != nil {
		k.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// kill starts a command and kills it: at any moment of its life, soon after it changes something in the output directory,
// or at once when it has changed this and that.
func (k *killed) kill(name string, lasts time.Duration) {
	k.t.Helper()
	before := k.listing()
	cmd := k.command(name)
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	moment := time.Now()
	switch rand.IntN(5) {
	case 0:
		moment = moment.Add(rand.N(lasts))
	case 1, 2:
		for k.listing() == before && len(done) == 0 {
			time.Sleep(poll)
		}
		moment = time.Now().Add(rand.N(2 * time.Millisecond))
	default:
		for changes := rand.IntN(1 + rand.IntN(10)); changes >= 0 && len(done) == 0; time.Sleep(poll) {
			if now := k.listing(); now != before {
				before = now
				changes--
			}
		}
	}
	for time.Now().Before(moment) { // a sleep is not that exact
	}
	_ = cmd.Process.Kill() // it may have ended by itself
	<-done
}

// clear makes the build directory a fresh one.
func (k *killed) clear() {
	k.t.Helper()
	if err := os.RemoveAll(filepath.Join(k.clone, ".bitbucket-oidc")); err != nil {
		k.t.Fatal(err)
	}
}

// listing is what lies in the output directory, links as such.
func (k *killed) listing() string {
	entries, err := os.ReadDir(filepath.Join(k.clone, ".bitbucket-oidc"))
	if err != nil {
		return ""
	}
	var names strings.Builder
	for _, e := range entries {
		names.WriteString(e.Name() + "\n")
	}
	return names.String()
}

// entries counts all that lies in the output directory and below.
func (k *killed) entries() int {
	n := 0
	_ = filepath.WalkDir(filepath.Join(k.clone, ".bitbucket-oidc"), func(_ string, _ fs.DirEntry, err error) error {
		if err == nil {
			n++
		}
		return nil
	})
	return n
}

// whole is the generation that all files are of, or empty if there is none of them. Anything between is an error.
func (k *killed) whole() (string, error) {
	names := []string{
		"env.sh", "summary.json", "aws/credentials", "aws/config", "gcp/credentials.json", "gcp/subject-token",
		"gcp/access-token", "gcp/boto", "docker/config.json",
	}
	files := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(k.clone, ".bitbucket-oidc", name))
		if err == nil {
			files[name] = string(data)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if len(files) == 0 {
		return "", nil
	}
	for _, name := range append(names, ".gitignore") {
		if _, err := os.Stat(filepath.Join(k.clone, ".bitbucket-oidc", name)); err != nil {
			return "", fmt.Errorf("some files are there, but not %s", name)
		}
	}

	var summary struct {
		Token       struct{ SHA256 string }
		Credentials []struct {
			Principal string
			Files     []string
		}
	}
	if err := json.Unmarshal([]byte(files["summary.json"]), &summary); err != nil {
		return "", fmt.Errorf("summary.json: %w", err)
	}
	sum := sha256.Sum256([]byte(files["gcp/subject-token"]))
	if summary.Token.SHA256 != hex.EncodeToString(sum[:]) {
		return "", errors.New("summary.json and gcp/subject-token are of two logins")
	}
	session, ok := k.world.AWS.Session(profileKey(files["aws/credentials"], "default"))
	if !ok {
		return "", errors.New("aws/credentials has no key of AWS's")
	}
	if len(summary.Credentials) != 3 || summary.Credentials[0].Principal != session.Principal() {
		return "", errors.New("summary.json and aws/credentials are of two logins")
	}
	login := base64.StdEncoding.EncodeToString([]byte("oauth2accesstoken:" + files["gcp/access-token"]))
	if !strings.Contains(files["docker/config.json"], login) {
		return "", errors.New("docker/config.json and gcp/access-token are of two logins")
	}
	env := exec.CommandContext(k.t.Context(), "sh", "-euc", `. "$0"; echo "$GOOGLE_CLOUD_PROJECT"`,
		filepath.Join(k.clone, ".bitbucket-oidc", "env.sh"))
	out, err := env.Output()
	if project := strings.TrimSpace(string(out)); err != nil || project != session.Name {
		return "", fmt.Errorf("env.sh is of %q (%v), aws/credentials of %s", project, err, session.Name)
	}
	return session.Name, nil
}

// mustBe fails unless the files are whole and of one of these generations; empty is that there are none.
func (k *killed) mustBe(generations ...string) string {
	k.t.Helper()
	got, err := k.whole()
	if err != nil {
		k.t.Fatalf("after %d logins: %v\n%s", k.count, err, k.listing())
	}
	for _, g := range generations {
		if got == g {
			outside, err := os.ReadDir(k.clone)
			if err != nil || len(outside) > 1 || len(outside) == 1 && outside[0].Name() != ".bitbucket-oidc" {
				k.t.Fatalf("outside of the output directory lies %v (%v)", outside, err)
			}
			return got
		}
	}
	k.t.Fatalf("files of %q, want one of %q", got, generations)
	return ""
}

// killing repeats a kill until it came in the middle of a change often enough. A try reports whether it did.
func killing(t *testing.T, try func() bool) {
	t.Helper()
	tries, middle := 0, 0
	for start := time.Now(); middle < killEnough && time.Since(start) < killBudget || middle == 0 && time.Since(start) < 10*killBudget; tries++ {
		if try() {
			middle++
		}
	}
	t.Logf("%d of %d kills were in the middle of a change", middle, tries)
	if middle == 0 {
		t.Error("no kill was in the middle of a change")
	}
}

func TestKilled(t *testing.T) {
	k := newKilled(t)
	k.run("login")
	clean := k.entries()
	start := time.Now()
	k.run("login")
	loginLasts := time.Since(start)
	start = time.Now()
	k.run("logout")
	logoutLasts := time.Since(start)

	// cleared fails unless a whole login leaves no more than its own files, whatever lay there before.
	cleared := func() {
		k.t.Helper()
		k.run("login")
		k.mustBe(generation(k.count))
		if n := k.entries(); n != clean {
			k.t.Fatalf("after a whole login there are %d entries, want %d:\n%s", n, clean, k.listing())
		}
	}

	t.Run("first login", func(t *testing.T) {
		k.t = t
		killing(t, func() bool {
			k.clear()
			k.kill("login", loginLasts)
			if after := k.mustBe("", generation(k.count)); after != "" || k.entries() == 0 {
				return false
			}
			cleared()
			return true
		})
	})
	t.Run("second login", func(t *testing.T) {
		k.t = t
		k.clear()
		cleared()
		have := generation(k.count)
		killing(t, func() bool {
			lay := k.listing()
			k.kill("login", loginLasts)
			have = k.mustBe(have, generation(k.count))
			middle := k.listing() != lay && k.entries() != clean
			if middle && rand.IntN(3) == 0 { // else the leftovers pile up
				cleared()
				have = generation(k.count)
			}
			return middle
		})
		cleared()
	})
	// What Docker keeps beside its config.json is not login's own: no kill may take it along.
	t.Run("logout beside a foreign file", func(t *testing.T) {
		k.t = t
		mine := filepath.Join(k.clone, ".bitbucket-oidc", "docker", "mine")
		// The folder, .gitignore, the link, the generation with its state, and the foreign file in its folder, to which
		// another link leads.
		const left = 8
		killing(t, func() bool {
			k.clear()
			k.run("login")
			if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := k.entries()
			k.kill("logout", logoutLasts)
			middle := k.entries() < before && k.entries() != left
			k.run("logout")
			if _, err := os.Stat(mine); err != nil {
				t.Fatalf("the foreign file is gone:\n%s", k.listing())
			}
			if n := k.entries(); n != left {
				t.Fatalf("with the foreign file there are %d entries:\n%s", n, k.listing())
			}
			return middle
		})
	})
	t.Run("logout", func(t *testing.T) {
		k.t = t
		k.clear()
		killing(t, func() bool {
			k.run("login")
			k.kill("logout", logoutLasts)
			k.mustBe("", generation(k.count))
			middle := k.entries() != clean && k.entries() != 0
			k.run("logout")
			if n := k.entries(); n != 0 {
				t.Fatalf("after a whole logout there are %d entries:\n%s", n, k.listing())
			}
			return middle
		})
	})
}
