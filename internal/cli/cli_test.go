package cli

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
)

// full is standard output on a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestUnprinted: an answer that standard output does not take is no answer, unless the command is there for what it does.
func TestUnprinted(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		acts   bool
		serves bool
		status int
		want   int
	}{
		{"done", []string{"audit"}, false, false, Done, Misused},
		{"failed", []string{"audit"}, false, false, Failed, Misused},
		{"acts", []string{"audit"}, true, false, Done, Done},
		{"serves", []string{"audit"}, false, true, Failed, Misused},
		{"help", []string{"audit", "--help"}, true, false, Done, Misused},
		{"version", []string{"--version"}, false, false, Done, Misused},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := func(_ context.Context, console *Console, _ *Arguments) int {
				if !c.serves {
					console.Print("an answer")
					return c.status
				}
				_, out := console.Streams()
				if _, err := out.Write([]byte("an answer")); err == nil || !console.Unprinted() {
					t.Errorf("%v", err)
				}
				return c.status
			}
			usage := func(string) string { return "Usage" }
			p := Program{Name: "bitbucket-oidc", Commands: []Command{{Name: "audit", Usage: usage, Acts: c.acts, Serves: c.serves, Run: run}}}
			var stderr bytes.Buffer
			if got := p.Main(t.Context(), Start{Args: c.args, Stdout: full{}, Stderr: &stderr}); got != c.want {
				t.Errorf("exit status %d, want %d", got, c.want)
			}
			if said := strings.Contains(stderr.String(), "✖ standard output: no space left on device\n"); said != (c.want == Misused) {
				t.Errorf("standard error: %s", &stderr)
			}
		})
	}
}
