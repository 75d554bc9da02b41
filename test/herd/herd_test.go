// Package herd starts many real logins at once against an STS that throttles. Larger herds are simulated in internal/transport.
package herd

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

const (
	logins   = 50
	burst    = 10 // requests that STS takes at once
	rate     = 40 // and a second from then on: enough for nearly all to get in with their second attempt
	attempts = 5  // that a login makes at most

	timeout  = "20s" // TIMEOUT
	deadline = 60 * time.Second
)

// A bucket throttles: it lets a request through for each of its tokens. The first requests wait for one another, so that
// they come at once however slowly the machine starts processes.
type bucket struct {
	mu      sync.Mutex
	waiting int
	all     chan struct{} // closed when every login has asked
	tokens  float64
	filled  time.Time
}

func (b *bucket) fault(w http.ResponseWriter, r *http.Request, fake http.Handler) {
	b.mu.Lock()
	if b.waiting++; b.waiting == logins {
		close(b.all)
	}
	b.mu.Unlock()
	select {
	case <-b.all:
	case <-r.Context().Done():
		return
	}
	if b.take() {
		fake.ServeHTTP(w, r)
		return
	}
	cloud.AWSError(http.StatusBadRequest, "Throttling", "Rate exceeded")(w, r, fake)
}

func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.filled.IsZero() {
		b.tokens, b.filled = burst, now
	}
	b.tokens = min(burst, b.tokens+now.Sub(b.filled).Seconds()*rate)
	b.filled = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func TestHerd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	pipe, err := program.Build(ctx, t.TempDir(), "-ldflags=-w")
	if err != nil {
		t.Fatal(err)
	}
	world, err := cloud.StartWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	b := &bucket{all: make(chan struct{})}
	world.STS.Inject(cloud.Repeat(logins*attempts, b.fault)...)

	began := time.Now()
	dirs := t.TempDir()
	var all sync.WaitGroup
	for i := range logins {
		all.Go(func() {
			if err := login(ctx, pipe, world, filepath.Join(dirs, fmt.Sprint(i)), i); err != nil {
				t.Errorf("login %d: %v", i, err)
			}
		})
	}
	all.Wait()

	over := len(world.STS.Requests()) - logins
	t.Logf("%d logins in %v, %d requests over the minimum", logins, time.Since(began).Round(time.Millisecond), over)
	if least, most := (logins-burst)/2, 2*logins; over < least || over > most {
		t.Errorf("%d requests over the minimum, want %d to %d", over, least, most)
	}
}

// login is one step's login in a build directory of its own.
func login(ctx context.Context, pipe string, world *cloud.World, clone string, i int) error {
	if err := os.Mkdir(clone, 0o700); err != nil {
		return err
	}
	step := cloud.DefaultStep()
	step.StepUUID = fmt.Sprintf("{00000000-0000-0000-0000-%012d}", i)
	cmd := exec.CommandContext(ctx, pipe, "login")
	cmd.Dir = clone
	cmd.Env = append(world.Endpoints(),
		"BITBUCKET_CLONE_DIR="+clone,
		"BITBUCKET_STEP_OIDC_TOKEN="+world.Issuer.Token(step),
		"AWS_OIDC_ROLE_ARN="+cloud.RoleARN,
		"TIMEOUT="+timeout,
	)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	_, err := os.Stat(filepath.Join(clone, ".bitbucket-oidc", "aws", "credentials"))
	return err
}
