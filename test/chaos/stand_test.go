package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bitbucket-oidc/test/cloud"
)

// grace is how far past TIMEOUT a command may run.
const grace = 2 * time.Second

// capped starts a program that gets 200 MiB of memory and no more, whatever comes. Go takes 64 MiB at a time.
func capped() []string { return []string{"sh", "-euc", `ulimit -d 204800; exec "$@"`, "sh"} }

// A stand is a step of its own in a world of its own, for one cell of the matrix.
type stand struct {
	kit
	dir    string // holds all that is written
	world  *cloud.World
	others *cloud.Others
	token  string
	close  []func()
}

// A kit is what all stands share.
type kit struct {
	pipe     string // the program
	issuer   *cloud.Issuer
	dir      string
	trusted  *authority // that programs trust
	stranger *authority // that they do not
	private  *private
}

func (k kit) stand(skew time.Duration) (*stand, error) {
	s := &stand{kit: k}
	var err error
	if s.dir, err = os.MkdirTemp(k.dir, "cell-"); err != nil {
		return nil, err
	}
	s.close = append(s.close, func() { _ = os.RemoveAll(s.dir) })
	issuer := k.issuer.At(k.issuer.URL())
	if s.world, err = cloud.Start(issuer); err != nil {
		return nil, errors.Join(err, s.end())
	}
	s.close = append(s.close, s.world.Close)
	if s.others, err = cloud.StartOthers(issuer); err != nil {
		return nil, errors.Join(err, s.end())
	}
	s.close = append(s.close, s.others.Close)
	now := func() time.Time { return time.Now().Add(skew) }
	s.world.AWS.Configure(func(c *cloud.AWSConfig) { c.Now = now })
	s.world.GCP.Configure(func(c *cloud.GCPConfig) { c.Now = now })
	s.others.SetClock(now)

	step := cloud.DefaultStep()
	step.Audiences = []string{"urn:pulumi:org:" + cloud.PulumiOrg}
	step.Issued, step.Expires = now(), now().Add(cloud.StepLifetime)
	s.token = issuer.Sign(step.Claims(issuer.URL()))
	return s, errors.Join(
		os.Mkdir(s.clone(), 0o700),
		os.WriteFile(s.authority(), s.others.Gateway.Authority, 0o600),
	)
}

func (s *stand) end() error {
	for len(s.close) > 0 {
		s.close[len(s.close)-1]()
		s.close = s.close[:len(s.close)-1]
	}
	return nil
}

func (s *stand) clone() string     { return filepath.Join(s.dir, "build") }
func (s *stand) output() string    { return filepath.Join(s.clone(), ".bitbucket-oidc") }
func (s *stand) authority() string { return filepath.Join(s.dir, "ca.pem") }

func (s *stand) secrets() []cloud.Secret { return append(s.world.Secrets(), s.others.Secrets()...) }

// A run is how one process went.
type run struct {
	status   int // -1: ended by a signal
	stdout   string
	stderr   string
	took     time.Duration
	attempts int // the highest number of an attempt, of any request
}

var (
	attempt = regexp.MustCompile(`(?m)^debug: (?:POST|PUT) \S+: attempt (\d+): `)
	again   = regexp.MustCompile(`, trying again in `)
)

// command is the program as Bitbucket starts it, or what starts the program.
func (s *stand) command(ctx context.Context, variables, through []string, name string) *exec.Cmd {
	line := slices.Concat(capped(), through, []string{s.pipe, name})
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = s.clone()
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"BITBUCKET_CLONE_DIR=" + s.clone(),
		"BITBUCKET_STEP_OIDC_TOKEN=" + s.token,
		"BITBUCKET_REPO_SLUG=shop",
		"BITBUCKET_BUILD_NUMBER=42",
		"DEBUG=true",
	}, variables...)
	return cmd
}

// run starts the program and sees it end, within limit. Whoever listens is told of each attempt that failed and is to be
// followed by another, while it runs.
func (s *stand) run(variables, through []string, name string, limit time.Duration, failed func()) (run, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit+30*time.Second)
	defer cancel()
	cmd := s.command(ctx, variables, through, name)
	var stdout bytes.Buffer
	var stderr watched
	stderr.failed = failed
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := run{status: cmd.ProcessState.ExitCode(), took: time.Since(start), stdout: stdout.String(), stderr: stderr.String()}
	for _, m := range attempt.FindAllStringSubmatch(r.stderr, -1) {
		n, _ := strconv.Atoi(m[1])
		r.attempts = max(r.attempts, n)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return r, err
	}
	if r.took > limit+grace {
		return r, fmt.Errorf("it took %v, with a TIMEOUT of %v:\n%s", r.took.Round(time.Millisecond), limit, r.stderr)
	}
	return r, nil
}

// checkSecrets fails if the run printed a secret, or left one where it may not lie.
func (s *stand) checkSecrets(r run) error {
	return errors.Join(s.checkOutput(r), cloud.CheckTree(s.dir, s.clone(), s.secrets()))
}

// checkOutput fails if the run printed a secret, or sent one in a record.
func (s *stand) checkOutput(r run) error {
	secrets := s.secrets()
	for name, text := range map[string]string{"standard output": r.stdout, "standard error": r.stderr} {
		if err := cloud.CheckText(text, secrets); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return s.world.Sink.CheckSeen(secrets)
}

// checkFailure fails unless the run failed as a user can bear: its status, who failed, and what to change.
func (r run) checkFailure(status int, report string) error {
	switch {
	case r.status != status:
		return fmt.Errorf("exit status %d, want %d:\n%s%s", r.status, status, r.stdout, r.stderr)
	case !strings.Contains(r.stderr, report):
		return fmt.Errorf("no line with %q:\n%s", report, r.stderr)
	case !strings.Contains(r.stderr, "\nhint: "):
		return fmt.Errorf("no hint:\n%s", r.stderr)
	case strings.Contains(r.stdout, "✔") && !strings.Contains(r.stdout, "✔ removed"):
		return fmt.Errorf("a failure that says ✔:\n%s", r.stdout)
	}
	return r.checkCalm()
}

// checkCalm fails if the program crashed.
func (r run) checkCalm() error {
	if strings.Contains(r.stderr, "goroutine ") || strings.Contains(r.stderr, "panic: ") {
		return fmt.Errorf("it crashed:\n%s", r.stderr)
	}
	return nil
}

// watched keeps what is written and tells of failed attempts.
type watched struct {
	mu     sync.Mutex
	text   bytes.Buffer
	told   int
	failed func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if n := len(again.FindAll(w.text.Bytes(), -1)); w.failed != nil && n > w.told {
		w.told = n
		w.failed()
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

var _ io.Writer = (*watched)(nil)

// inject makes the requests that q describes meet the fault, the first of them or all. Connections of the others are not
// kept, so that each request has a connection of its own.
func inject(server *cloud.Server, q request, once bool, fault cloud.Fault) {
	var mu sync.Mutex
	met := 0
	server.Inject(cloud.Repeat(64, func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		if !q.is(r) {
			w.Header().Set("Connection", "close")
			fake.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		met++
		passes := once && met > 1
		mu.Unlock()
		if passes {
			fake.ServeHTTP(w, r)
			return
		}
		fault(w, r, fake)
	})...)
}
