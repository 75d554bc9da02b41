package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestDisk fails each kind of system call on files, with each of its calls in turn, or in the short form every 11th, by errors
// that disks have.
func TestDisk(t *testing.T) {
	k := newKit(t)
	for _, f := range []struct {
		call   string
		errors []string
		most   int // calls of one thread, at least
	}{
		{"mkdirat", []string{"ENOSPC", "EROFS", "EACCES", "EDQUOT"}, 5},
		{"openat", []string{"ENOSPC", "EMFILE", "EIO", "ENFILE"}, 60},
		{"write", []string{"ENOSPC", "EIO", "EDQUOT"}, 16},
		{"symlinkat", []string{"ENOSPC", "EIO", "EPERM"}, 6},
		{"renameat", []string{"ENOSPC", "EIO", "EXDEV"}, 3},
		{"fchmodat2", []string{"EIO", "EPERM", "EROFS"}, 12},
		{"fchownat", []string{"EIO", "EPERM"}, 16},
		{"getdents64", []string{"EIO"}, 10},
		{"readlinkat", []string{"EIO", "EACCES"}, 16},
		{"newfstatat,statx", []string{"EIO", "EACCES"}, 16},
		{"unlinkat", []string{"EIO", "EBUSY", "EROFS"}, 16},
		{"flock", []string{"ENOLCK", "EIO"}, 2},
		{"fsync", []string{"EIO", "ENOSPC"}, 2},
		{"close", []string{"EIO"}, 16},
	} {
		for _, c := range commands {
			for _, code := range f.errors {
				t.Run(strings.Join([]string{c.label, f.call, code}, "/"), func(t *testing.T) {
					t.Parallel()
					k.inject(t, c.name, c.second, c.held, f.call, "error="+code, f.most)
				})
			}
		}
	}
}

// inject runs a command under a tracer that disturbs the n-th call of one kind in each thread, for each n in turn.
func (k kit) inject(t *testing.T, name string, second, held bool, call, what string, most int) {
	if _, err := exec.LookPath("strace"); err != nil {
		found.skip(t, "strace is not installed: Debian's package has its name")
	}
	if exec.Command("strace", "-qq", "-e", "trace="+call, "true").Run() != nil {
		found.skip(t, "this strace does not know "+call+", or may not trace here")
	}
	step := rounds(min(11, most), 1)
	if held {
		step = rounds(min(11, most), 5) // the second program makes calls too, several hundred of some kinds
	}
	h, err := k.host(1)
	if err != nil {
		t.Fatal(err)
	}
	defer h.end()
	h.hold(t, held)
	var count tally
	met := true
	for n := 1 + len(t.Name())%step; n <= most || *full && met; n += step {
		if err := os.RemoveAll(h.output()); err != nil {
			t.Fatal(err)
		}
		if second {
			if err := h.must("login"); err != nil {
				t.Fatal(err)
			}
		}
		before, err := h.snapshot()
		if err != nil {
			t.Fatal(err)
		}
		log := filepath.Join(h.dir, "trace")
		// The network's calls are left alone, which is what their own matrix is for.
		r, err := h.do(name, "strace", "-f", "-qq", "-o", log, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", call, what, n))
		traced, _ := os.ReadFile(log)
		_ = os.Remove(log)
		hits := bytes.Count(traced, []byte("(INJECTED)"))
		met = hits > 0
		count.add(r, met)
		// The tracer leaves open what it does not close, which Linux never does, and the other program waits for the end of its question.
		waits := held && call == "close" && strings.Contains(r.stderr, "✖ pipe: no answer before TIMEOUT ran out")
		if muted.Match(traced) || waits {
			count.muted++
			err = errors.Join(err, h.checkMute(r, name, before))
		} else {
			err = errors.Join(err, h.check(r, name, before, hits))
		}
		if err != nil {
			t.Fatalf("call %d: %v\n%s", n, err, lastLines(traced, 12))
		}
	}
	if *full && count.hit == 0 {
		found.skip(t, "this command makes no such call")
	}
	found.note(t, count)
}

// muted is a report that could not be written, or a wake-up of Go's runtime, which ends the process on that.
var muted = regexp.MustCompile(`write\(([12], |\d+, "\\1\\0\\0\\0\\0\\0\\0\\0", 8).*\(INJECTED\)`)

func lastLines(text []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// TestRoom gives the build directory a disk of its own, with less room than a login takes, by one page or one inode at a
// time; and disks that cannot be written to.
func TestRoom(t *testing.T) {
	k := newKit(t)
	if !mayMount() {
		found.skip(t, "only root can mount a disk, and not in most containers")
	}
	for _, c := range commands {
		if c.name != "login" {
			continue
		}
		for _, what := range []string{"size", "nr_inodes"} {
			t.Run(c.label+"/"+what, func(t *testing.T) {
				t.Parallel()
				k.fill(t, c.second, c.held, what)
			})
		}
	}
	for _, c := range commands {
		t.Run(c.label+"/read-only disk", func(t *testing.T) {
			t.Parallel()
			h := k.mounted(t, "")
			h.hold(t, c.held)
			h.prepare(t, c.second)
			remount(t, h.clone(), "ro")
			h.fails(t, c.name)
		})
		t.Run(c.label+"/folder of another user", func(t *testing.T) {
			t.Parallel()
			h, err := k.host(1)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = h.end() })
			h.hold(t, c.held)
			h.prepare(t, c.second)
			for _, dir := range []string{filepath.Dir(k.dir), k.dir, h.dir, h.clone()} {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			other := []string{"setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"}
			if exec.Command(other[0], append(other[1:], "true")...).Run() != nil {
				found.skip(t, "setpriv is not installed, or may not change the user here")
			}
			h.fails(t, c.name, other...)
		})
	}
	t.Run("output folder on a disk of its own", func(t *testing.T) {
		t.Parallel()
		h, err := k.host(1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.end() })
		mount(t, h.output(), "mode=0700")
		for _, name := range []string{"login", "login", "logout", "login"} {
			if err := errors.Join(h.must(name), h.whole(), h.checkSecrets(run{})); err != nil {
				t.Fatal(err)
			}
		}
		found.note(t, tally{done: 4, hit: 4})
	})
}

// mounted is a host whose build directory is a disk.
func (k kit) mounted(t *testing.T, options string) host {
	t.Helper()
	h, err := k.host(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.end() })
	mount(t, h.clone(), strings.Trim("mode=0777,"+options, ","))
	return h
}

func (h host) prepare(t *testing.T, login bool) {
	t.Helper()
	if login {
		if err := h.must("login"); err != nil {
			t.Fatal(err)
		}
	}
}

// fails runs a command that cannot succeed.
func (h host) fails(t *testing.T, name string, through ...string) {
	t.Helper()
	before, err := tree(h.clone())
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.do(name, through...)
	after, err2 := tree(h.clone())
	if err := errors.Join(err, err2, h.checkSecrets(r)); err != nil {
		t.Fatal(err)
	}
	if err := r.checkTold(); err != nil {
		t.Fatal(err)
	}
	if after != before {
		t.Fatalf("it failed and changed the files:\n%s\nbefore:\n%s", after, before)
	}
	found.note(t, tally{failed: 1, hit: 1})
}

func mount(t *testing.T, dir, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "none", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
}

func remount(t *testing.T, dir, options string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,"+options, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v\n%s", err, out)
	}
}

// fill gives the disk one page or one inode more each time, until a login succeeds.
func (k kit) fill(t *testing.T, second, held bool, what string) {
	h := k.mounted(t, "size=1m,nr_inodes=1000")
	h.hold(t, held)
	h.prepare(t, second)
	var used syscall.Statfs_t
	if err := syscall.Statfs(h.clone(), &used); err != nil {
		t.Fatal(err)
	}
	room := func(more int) string {
		if what == "size" {
			return "size=" + strconv.FormatInt((int64(used.Blocks-used.Bfree)+int64(more))*int64(used.Bsize), 10)
		}
		return "nr_inodes=" + strconv.FormatInt(int64(used.Files-used.Ffree)+int64(more), 10)
	}
	var count tally
	for more := 1; count.done == 0; more++ {
		if more > 200 {
			t.Fatal("no login succeeds, however much room there is")
		}
		remount(t, h.clone(), room(more))
		_ = os.Remove(filepath.Join(h.clone(), recordsFile)) // each login that fails adds to it, and takes the room
		before, err := h.snapshot()
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.do("login")
		count.add(r, r.status != 0)
		if err := errors.Join(err, h.check(r, "login", before, 1)); err != nil {
			t.Fatalf("%s: %v", room(more), err)
		}
	}
	if count.failed == 0 {
		t.Fatal("there was room enough from the beginning")
	}
	found.note(t, count)
}
