package bounded_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bounded"
)

// deaf is a command that hears nothing.
func deaf(context.Context) int { select {} }

func TestRun(t *testing.T) {
	obedient := func(ctx context.Context) int { <-ctx.Done(); return 7 }
	for _, c := range []struct {
		name    string
		timeout time.Duration
		stop    time.Duration // when somebody stops it; 0: nobody does
		run     func(context.Context) int
		status  int
		says    string
	}{
		{name: "done in time", timeout: time.Hour, run: func(context.Context) int { return 2 }, status: 2},
		{name: "ends when asked to", timeout: 10 * time.Millisecond, run: obedient, status: 7},
		{name: "ends when stopped", timeout: time.Hour, stop: 10 * time.Millisecond, run: obedient, status: 7},
		{name: "deaf", timeout: 10 * time.Millisecond, run: deaf, status: 1, says: "✖ pipe: no answer before TIMEOUT ran out\nhint: "},
		{name: "deaf and stopped", timeout: time.Hour, stop: 10 * time.Millisecond, run: deaf, status: 1, says: "✖ pipe: stopped\nhint: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.stop > 0 {
				time.AfterFunc(c.stop, cancel)
			}
			var stderr bytes.Buffer
			start := time.Now()
			status := bounded.Run(ctx, bounded.Command{Name: "pipe", Timeout: c.timeout, Run: c.run}, &stderr)
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if status != c.status || !strings.HasPrefix(stderr.String(), c.says) || c.says == "" && stderr.Len() > 0 {
				t.Errorf("status %d, want %d; it says %q", status, c.status, stderr.String())
			}
		})
	}
}

// TestRunUnread has nobody read standard error: the report must not hold the process either.
func TestRunUnread(t *testing.T) {
	_, unread := io.Pipe()
	start := time.Now()
	if status := bounded.Run(t.Context(), bounded.Command{Name: "pipe", Timeout: time.Millisecond, Run: deaf}, unread); status != 1 {
		t.Errorf("status %d", status)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
