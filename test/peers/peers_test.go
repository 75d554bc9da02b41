// Package peers proves with the tools that people use, and with a server that others wrote, that what login writes
// works. Nothing here looks into the files: a tool that sources env.sh gets in, or it does not.
//
// A tool that is not on the machine is skipped by name. `go test` without arguments prints, at the end, which ran.
package peers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "bitbucket-oidc/internal/advisor" // what the go command builds below, the test cache must know of
	_ "bitbucket-oidc/internal/app"
	"bitbucket-oidc/test/cloud"
)

// readerLimit bounds each program that a test starts; the slowest takes a few seconds.
const readerLimit = 2 * time.Minute

// deadProxy is where requests to the real clouds end.
const deadProxy = "http://127.0.0.1:9"

// What all tests share, made by TestMain before the first and only read afterwards.
var (
	pipe     string // the real binary
	goReader string // ./reader
	issuer   *cloud.Issuer
	verdicts = &record{reasons: map[string]string{}}
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	bin, err := os.MkdirTemp("", "peers")
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		return 1
	}
	defer os.RemoveAll(bin)

	pipe, goReader = filepath.Join(bin, "pipe"), filepath.Join(bin, "reader")
	issuer, err = cloud.NewIssuer(cloud.WorkspaceIssuerURL(cloud.Workspace))
	err = errors.Join(err, goBuild("../..", bin+string(filepath.Separator), "./pipe/..."), goBuild(".", goReader, "./reader"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		return 1
	}
	status := m.Run()
	fmt.Println(verdicts)
	return status
}

func goBuild(dir, output, pkg string) error {
	build := exec.Command("go", "build", "-o", output, pkg)
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// A reader is a client that others wrote, and one call that it can make with the credentials it finds.
type reader struct {
	name string

	// find is how the program is started, or why it is not there; program is what it found.
	find    func() ([]string, error)
	program []string

	// args makes the program do its call.
	args func(p place) []string

	// cannot has, by name, the logins that the program refuses in all versions we know, or in some.
	cannot map[string]refusal

	// given has, by name, the logins whose token the program takes as it is, where others make an exchange of their own.
	given []string
}

// A refusal is how a reader says that it cannot use what a login wrote, and what it means by that.
type refusal struct{ says, means string }

// A login is one configuration with which the files are written.
type login struct {
	name      string
	variables []string // NAME=value, for the pipe
	profile   string   // for AWS: the profile to ask for, empty: what env.sh says
	caller    string   // who a reader must turn out to be, as [world.seen] writes it
	refreshes bool     // whether readers make an exchange of their own
}

// testReaders lets every reader try what every login writes.
func testReaders(t *testing.T, readers []reader, logins []login, try func(*testing.T, reader, login)) {
	for _, r := range readers {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			var err error
			if r.program, err = r.find(); err != nil {
				verdicts.skip(t, r.name, err.Error())
			}
			verdicts.ran(r.name)
			for _, l := range logins {
				t.Run(l.name, func(t *testing.T) {
					t.Parallel()
					try(t, r, l)
				})
			}
		})
	}
}

// tryInWorld is a login and a call in a world of their own, which then knows who called.
func tryInWorld(t *testing.T, r reader, l login) {
	w := newWorld(t)
	env := w.login(t, l)
	before := w.exchanges()
	w.read(t, r, l, env)

	if callers := w.seen(); !slices.Contains(callers, l.caller) {
		t.Errorf("called as %q, want %q", callers, l.caller)
	}
	more := l.refreshes && !slices.Contains(r.given, l.name)
	if after := w.exchanges(); more != (after > before) {
		t.Errorf("%d exchanges after login, %d after the call; want more: %t", before, after, more)
	}
}

// A place is where a step signs in and works: a cloud, and a token for it.
type place struct {
	url     string // of all services
	tlsURL  string // the same by TLS, for gsutil
	token   string // the step's
	secrets func() []cloud.Secret
}

// login runs the pipe as a step would, and returns the path of env.sh.
func (p place) login(t *testing.T, l login) string {
	t.Helper()
	out, env, err := p.tryLogin(t, l)
	if err != nil {
		t.Fatalf("login: %v\n%s", err, mask(out, p.secrets()))
	}
	return env
}

// tryLogin is login for a login that may fail.
func (p place) tryLogin(t *testing.T, l login) (out, env string, err error) {
	t.Helper()
	build := filepath.Join(t.TempDir(), "build dir") // paths with a blank must work everywhere
	if err := os.Mkdir(build, 0o700); err != nil {
		t.Fatal(err)
	}
	variables := append([]string{
		"PATH=" + os.Getenv("PATH"),
		"BITBUCKET_CLONE_DIR=" + build,
		"BITBUCKET_REPO_SLUG=shop",
		"BITBUCKET_BUILD_NUMBER=42",
		"BITBUCKET_STEP_OIDC_TOKEN=" + p.token,
		"AWS_ENDPOINT_URL_STS=" + p.url,
		"GCP_STS_ENDPOINT=" + p.url,
		"GCP_IAMCREDENTIALS_ENDPOINT=" + p.url,
	}, l.variables...)
	out, err = run(t, build, variables, pipe, "login")
	return out, filepath.Join(build, ".bitbucket-oidc", "env.sh"), err
}

// read makes the call of a reader that knows only what env.sh says.
func (p place) read(t *testing.T, r reader, l login, env string) {
	t.Helper()
	command := slices.Concat(r.program, r.args(p))
	if l.profile != "" {
		command = append([]string{"env", "AWS_PROFILE=" + l.profile}, command...)
	}
	source := []string{"sh", "-c", `set -eu; . "$1"; shift; exec "$@"`, "sh", env}
	out, err := run(t, "", p.environment(t.TempDir()), append(source, command...)...)
	if err == nil {
		return
	}
	if refusal, ok := r.cannot[l.name]; ok && strings.Contains(out, refusal.says) {
		verdicts.skip(t, r.name+"/"+l.name, refusal.means)
	}
	t.Fatalf("%v\n%s", err, mask(out, p.secrets()))
}

// environment is that of a step before it sources env.sh.
func (p place) environment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"TMPDIR=" + home,
		"TF_DATA_DIR=" + filepath.Join(home, "terraform"),
		"CHECKPOINT_DISABLE=1",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",

		// Where the APIs are. Google's exchange is not among them: where that is, the pipe wrote down.
		"AWS_ENDPOINT_URL_STS=" + p.url,
		"AWS_ENDPOINT_URL_S3=" + p.url,
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE=" + p.url + "/storage/v1/",
		"GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT=" + p.url + "/storage/v1/",

		// No reader finds a cloud elsewhere: not by its default endpoints, not on a cloud's own machine.
		"HTTPS_PROXY=" + deadProxy,
		"NO_PROXY=127.0.0.1",
		"AWS_MAX_ATTEMPTS=1",
		"NO_GCE_CHECK=true",

		// The step's machine is one of EC2 and has a role of its own, which nobody may become instead of the login.
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + p.url,

		// Leftovers of other ways to sign in, which win over files unless env.sh takes them away.
		"AWS_ACCESS_KEY_ID=AKIALEFTOVER",
		"AWS_SECRET_ACCESS_KEY=leftover",
		"AWS_SESSION_TOKEN=leftover",
		"AWS_SECURITY_TOKEN=leftover",
		"AWS_ACCESS_KEY=AKIALEFTOVER",
		"AWS_SECRET_KEY=leftover",
		"AMAZON_ACCESS_KEY_ID=AKIALEFTOVER",
		"AMAZON_SECRET_ACCESS_KEY=leftover",
		"AMAZON_SESSION_TOKEN=leftover",
		"AWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z",
		"AWS_ROLE_ARN=arn:aws:iam::999999999999:role/leftover",
		"AWS_ROLE_SESSION_NAME=leftover",
		"AWS_WEB_IDENTITY_TOKEN_FILE=/leftover",
		"AWS_DEFAULT_PROFILE=leftover",
		"AWS_PROFILE=leftover",
		"AWS_REGION=us-west-2",
		"GOOGLE_CREDENTIALS=/leftover",
		"GOOGLE_BACKEND_CREDENTIALS=/leftover",
		"GOOGLE_OAUTH_ACCESS_TOKEN=leftover",
		"CLOUDSDK_AUTH_ACCESS_TOKEN=leftover",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_STORAGE_GS_XML_ACCESS_KEY_ID=GOOGLEFTOVER",
		"CLOUDSDK_STORAGE_GS_XML_SECRET_ACCESS_KEY=leftover",
		"GS_ACCESS_KEY_ID=GOOGLEFTOVER",
		"GS_SECRET_ACCESS_KEY=leftover",
		"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=/leftover",
		"CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT=leftover@my-project.iam.gserviceaccount.com",
	}
}

// run is a command with an environment of its own. When its time is up, it ends with every process that it started.
func run(t *testing.T, dir string, variables []string, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readerLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, variables
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mask replaces a secret by its kind.
func mask(text string, secrets []cloud.Secret) string {
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s.Value, "<"+s.String()+">")
	}
	return text
}

// A world is test/cloud's behind one door, which adds what real clients need and the pipe does not.
type world struct {
	*cloud.World
	place

	mu      sync.Mutex
	callers []string // of Google
	runner  int      // how often somebody asked for the role of the machine
}

func newWorld(t *testing.T) *world {
	t.Helper()
	started, err := cloud.Start(issuer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Close)
	w := &world{World: started}
	plain, secure := httptest.NewServer(w), httptest.NewTLSServer(w)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	t.Cleanup(func() {
		if w.runner > 0 {
			t.Errorf("somebody took the role of the machine, %d times", w.runner)
		}
	})
	step := cloud.DefaultStep()
	w.place = place{plain.URL, secure.URL, issuer.Token(step), w.Secrets}

	w.AWS.SetRole(cloud.Role{ARN: auditRole, Trust: []cloud.Trust{
		cloud.DefaultTrust(issuer),
		{Actions: []string{"sts:AssumeRole"}, Role: cloud.RoleARN},
	}})
	w.GCP.SetServiceAccount(cloud.ServiceAccount{Email: hopAccount, Members: []string{cloud.RepositoryMember}})
	w.GCP.SetServiceAccount(cloud.ServiceAccount{Email: farAccount, Members: []string{"serviceAccount:" + hopAccount}})
	return w
}

// seen is who made calls: of AWS, in the words "REGION PRINCIPAL", or of an API of Google.
func (w *world) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	callers := slices.Clone(w.callers)
	for _, r := range w.STS.Requests() {
		if r.Operation == "GetCallerIdentity" && r.Principal != "" {
			callers = append(callers, r.Region+" "+r.Principal)
		}
	}
	return callers
}

func (w *world) note(caller string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.callers = append(w.callers, caller)
}

// exchanges is how often the step's token was traded.
func (w *world) exchanges() int {
	n := 0
	for _, r := range slices.Concat(w.STS.Requests(), w.GoogleSTS.Requests()) {
		if r.Operation == "AssumeRoleWithWebIdentity" || r.Operation == "token" {
			n++
		}
	}
	return n
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/latest/"):
		w.serveMachine(rw, r)
	case r.URL.Path == "/" && r.Method == http.MethodPost:
		w.STS.ServeHTTP(rw, r)
	case r.URL.Path == "/v1/token" || r.URL.Path == "/v1/introspect":
		if strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") {
			// gcloud adds its own public client id, for a later introspection; Google takes it, test/cloud does not.
			r.Header.Del("Authorization")
		}
		w.GoogleSTS.ServeHTTP(rw, r)
	case strings.HasPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/"):
		w.IAMCredentials.ServeHTTP(rw, r)
	case strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256"):
		serveS3(rw, r)
	default:
		w.serveGoogleAPI(rw, r)
	}
}

// record is the verdict of each reader: ran, or why not.
type record struct {
	mu      sync.Mutex
	reasons map[string]string // by name; empty: it ran
}

func (v *record) ran(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reasons[name] = ""
}

func (v *record) skip(t *testing.T, name, reason string) {
	t.Helper()
	v.mu.Lock()
	v.reasons[name] = reason
	v.mu.Unlock()
	t.Skipf("%s: %s", name, reason)
}

// String is one line each for those that ran and those that did not.
func (v *record) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var ran, skipped []string
	for _, name := range slices.Sorted(maps.Keys(v.reasons)) {
		if reason := v.reasons[name]; reason != "" {
			skipped = append(skipped, name+" ("+reason+")")
		} else {
			ran = append(ran, name)
		}
	}
	line := "peers: ran " + strings.Join(ran, ", ")
	if len(skipped) > 0 {
		line += "\npeers: skipped " + strings.Join(skipped, ", ")
	}
	return line
}
