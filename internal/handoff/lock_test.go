package handoff_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/hint/hinttest"
)

func TestWriteStopped(t *testing.T) {
	clone := build(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, clone, "deep/out").Write(ctx, token(t), []federation.Grant{grant("aws", "x")}); err == nil {
		t.Fatal("it was written though the command was stopped")
	}
	if got := listing(t, clone); len(got) != 1 {
		t.Errorf("traces are left: %v", got)
	}
}

// TestLocked holds the lock of another login. A login that waits for it gives up when its time is over, or when it is stopped.
func TestLocked(t *testing.T) {
	clone := build(t)
	put(t, clone, "out/mine", "x")
	before := listing(t, clone)
	other, err := os.Open(filepath.Join(clone, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	late, cancelLate := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelLate()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for says, ctx := range map[string]context.Context{"another login is writing to this folder": late, "stopped": stopped} {
		dir := open(t, clone, "out")
		err := dir.Write(ctx, token(t), []federation.Grant{grant("aws", "x")})
		hinttest.Check(t, err, "writing to out: ", says)
		if raise := strings.Contains(strings.Join(hint.All(err), ""), "TIMEOUT"); raise != (ctx == late) {
			t.Errorf("%q: hints %q", says, hint.All(err))
		}
		// logout removes without the lock.
		start := time.Now()
		if r, err := dir.Remove(ctx); !r.Unlocked || err != nil || len(r.Foreign) != 1 || time.Since(start) > time.Second {
			t.Errorf("%q: %+v, %v", says, r, err)
		}
	}
	if after := listing(t, clone); !same(before, after) {
		t.Errorf("the directory changed:\n%v\n%v", before, after)
	}
}

// TestLeftoversOfAKilledLogin plants what a login leaves that is killed before its change, or right after it.
func TestLeftoversOfAKilledLogin(t *testing.T) {
	clone := build(t)
	dir := open(t, clone, "out")
	write(t, dir, grant("aws", "first"))
	put(t, clone, "out/.gen-00000000000000aa/aws/credentials", "half")
	link(t, clone, ".gen-00000000000000aa", "out/.new-00000000000000aa")
	write(t, dir, grant("gcp", "second"))
	for path := range listing(t, clone) {
		if strings.Contains(path, "00000000000000aa") {
			t.Errorf("%s is still there", path)
		}
	}
	if read(t, dir.Path("aws/credentials")) != "first" {
		t.Error("the backend of the first login is gone")
	}
}

func TestLoginsSideBySide(t *testing.T) {
	clone := build(t)
	dir := open(t, clone, "out")
	var all sync.WaitGroup
	for backend := range own {
		all.Go(func() {
			if err := dir.Write(t.Context(), token(t), []federation.Grant{grant(backend, "x")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	env := read(t, dir.Path("env.sh"))
	for backend, names := range own {
		if !strings.Contains(env, "export "+names[0]+"=") {
			t.Errorf("%s is lost", backend)
		}
	}
}
