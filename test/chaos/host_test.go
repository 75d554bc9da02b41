package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

// hostLimit is TIMEOUT for what a disk or a host does.
const hostLimit = 10 * time.Second

// A host is a step that logs in to AWS and Google, on a machine that lets it down.
type host struct {
	*stand
	random *rand.Rand
	held   bool // to guardrails, and its records are wanted
}

func (k kit) host(seed uint64) (host, error) {
	s, err := k.stand(0)
	return host{s, rand.New(rand.NewPCG(seed, 0)), false}, err
}

func (h host) variables() []string {
	all := append(h.world.Endpoints(), "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "GCP_WORKLOAD_IDENTITY_PROVIDER="+cloud.ProviderName,
		"TIMEOUT="+hostLimit.String())
	if h.held {
		all = append(all, heldVariables()...)
	}
	return all
}

func (h host) do(name string, through ...string) (run, error) {
	return h.run(h.variables(), through, name, hostLimit, nil)
}

// must is a command that succeeds.
func (h host) must(name string) error {
	r, err := h.do(name)
	if err == nil && r.status != 0 {
		err = fmt.Errorf("an undisturbed %s: status %d:\n%s", name, r.status, r.stderr)
	}
	return errors.Join(err, h.checkOutput(r))
}

// files are what a user finds under the names that are promised.
func (h host) files() (map[string]string, error) {
	found := map[string]string{}
	for _, name := range []string{
		"env.sh", "summary.json", "aws/credentials", "aws/config", "gcp/credentials.json", "gcp/subject-token", "gcp/access-token", "gcp/boto",
	} {
		data, err := os.ReadFile(filepath.Join(h.output(), name))
		if err == nil {
			found[name] = string(data)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return found, nil
}

// whole fails unless the files are of one login, all of them, or there are none.
func (h host) whole() error {
	files, err := h.files()
	if err != nil || len(files) == 0 {
		return err
	}
	var summary struct {
		Token       struct{ SHA256 string }
		Credentials []struct {
			Principal string
			Files     []string
		}
	}
	if err := json.Unmarshal([]byte(files["summary.json"]), &summary); err != nil {
		return fmt.Errorf("summary.json: %w", err)
	}
	listed := []string{"env.sh"}
	principals := ""
	for _, c := range summary.Credentials {
		listed = append(listed, c.Files...)
		principals += c.Principal + "\n"
	}
	for _, name := range listed {
		if files[name] == "" {
			return fmt.Errorf("some files are there, but not %s", name)
		}
	}
	sum := sha256.Sum256([]byte(files["gcp/subject-token"]))
	_, id, _ := strings.Cut(files["aws/credentials"], "aws_access_key_id = ")
	id, _, _ = strings.Cut(id, "\n")
	session, known := h.world.AWS.Session(id)
	switch {
	case hex.EncodeToString(sum[:]) != summary.Token.SHA256:
		return errors.New("summary.json and gcp/subject-token are of two logins")
	case !known || !strings.Contains(principals, session.Principal()+"\n"):
		return errors.New("summary.json and aws/credentials are of two logins")
	}
	return nil
}

// A snapshot is what lies in the build directory: all of it but the records, what a user sees of it, and the records, which every run
// adds to.
type snapshot struct {
	tree    string
	files   map[string]string
	records string
}

func (h host) snapshot() (snapshot, error) {
	all, err1 := tree(h.clone())
	files, err2 := h.files()
	records, err3 := h.records()
	return snapshot{withoutRecords(all), files, records}, errors.Join(err1, err2, err3)
}

// What the report of a failure says that a disk or a host has caused: before a request is sent, or after.
var (
	unusable = regexp.MustCompile(`(?m)^✖ (BITBUCKET_CLONE_DIR|OUTPUT_DIR|GUARD_FILE|GUARD_MAP|RECORD_FILE|` +
		`guard: (/etc/bitbucket-oidc/)?(guard|access)\.yaml): `)
	undone = regexp.MustCompile(
		`(?m)^✖ (writing to|removing from|reading) \.bitbucket-oidc: |^✖ (guard: no answer|record: RECORD_FILE: )|^✖ (aws|gcp) default: .*: stopped$`,
	)
)

// checkTold fails unless the run failed by its disk or its host, and said so.
func (r run) checkTold() error {
	if unusable.MatchString(r.stderr) {
		return r.checkFailure(2, "✖ ")
	}
	if !undone.MatchString(r.stderr) {
		return fmt.Errorf("status %d:\n%s", r.status, r.stderr)
	}
	return r.checkFailure(1, "✖ ")
}

// check judges a command that so many faults disturbed: it is done, or it failed and all is as it was. A second fault can
// keep a login from clearing up, and then what a user sees is as it was. A logout that failed may have removed some of it.
func (h host) check(r run, name string, before snapshot, faults int) error {
	after, err := h.snapshot()
	if err != nil {
		return err
	}
	changed := after.tree != before.tree
	if faults > 1 {
		changed = !maps.Equal(after.files, before.files)
	}
	switch {
	case r.status == 0 && name == "login" && !changed:
		err = errors.New("it succeeded and wrote nothing")
	case r.status == 0 && name == "logout" && strings.Contains(after.tree, "credentials"):
		err = fmt.Errorf("it succeeded and left:\n%s", after.tree)
	case r.status == 0:
		err = r.checkCalm()
	case name == "login" && changed:
		err = fmt.Errorf("it failed and changed the files:\n%s\nbefore:\n%s\n%s", after.tree, before.tree, r.stderr)
	default:
		err = r.checkTold()
	}
	err = errors.Join(err, h.checkRecords(r, name, before.records, after.records))
	if name == "logout" && r.status != 0 {
		return errors.Join(err, after.partOf(before), h.checkSecrets(r))
	}
	return errors.Join(err, h.whole(), h.checkSecrets(r))
}

// checkMute judges a command that could not report: its files and its secrets.
func (h host) checkMute(r run, name string, before snapshot) error {
	if name == "login" {
		return errors.Join(h.whole(), h.checkSecrets(r))
	}
	after, err := h.snapshot()
	return errors.Join(err, after.partOf(before), h.checkSecrets(r))
}

// partOf fails unless all that a user finds was there before, as it is, or was emptied, because it could not be removed.
func (s snapshot) partOf(before snapshot) error {
	for name, data := range s.files {
		if before.files[name] != data && data != "" {
			return fmt.Errorf("%s has changed", name)
		}
	}
	return nil
}

// A tally is how the runs of one row went.
type tally struct {
	name              string
	done, failed, hit int
	muted             int // of those, runs that could not report: only their files and secrets are judged
	skipped           string
}

func (t tally) String() string {
	if t.skipped != "" {
		return "SKIP " + t.name + ": " + t.skipped
	}
	return fmt.Sprintf("%s: %d runs met it; of all, %d succeeded and %d failed", t.name, t.hit, t.done, t.failed)
}

func (t *tally) add(r run, hit bool) {
	if r.status == 0 {
		t.done++
	} else {
		t.failed++
	}
	if hit {
		t.hit++
	}
}

// commands are what a disk can disturb, each with what is there when it begins.
var commands = []struct {
	label, name  string
	second, held bool
}{
	{"first login", "login", false, false}, {"second login", "login", true, false}, {"logout", "logout", true, false},
	{"login with guardrails and records", "login", false, true}, {"logout with records", "logout", true, true},
}

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

// TestSignals ends commands at random moments of their life.
func TestSignals(t *testing.T) {
	k := newKit(t)
	times := rounds(8, 80)
	for _, c := range commands {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
			t.Run(c.label+"/"+signal.String(), func(t *testing.T) {
				t.Parallel()
				h, err := k.host(*seed)
				if err != nil {
					t.Fatal(err)
				}
				defer h.end()
				h.hold(t, c.held)
				var count tally
				for range times {
					r, ended, err := h.interrupted(c.name, c.second, signal)
					count.add(r, ended)
					if err != nil {
						t.Fatal(err)
					}
				}
				found.note(t, count)
			})
		}
	}
}

// moment is one of a command's life, which is longer where a second program judges guardrails.
func (h host) moment(name string) time.Duration {
	life := 25 * time.Millisecond
	if h.held && name == "login" {
		life = 100 * time.Millisecond
	}
	return time.Duration(h.random.Int64N(int64(life)))
}

// interrupted starts a command and ends it at a random moment of its life. Whatever is left is whole, and the next login
// succeeds.
func (h host) interrupted(name string, second bool, signal syscall.Signal) (run, bool, error) {
	if err := os.RemoveAll(h.output()); err != nil {
		return run{}, false, err
	}
	if second {
		if err := h.must("login"); err != nil {
			return run{}, false, err
		}
	}
	before, err := h.snapshot()
	if err != nil {
		return run{}, false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), hostLimit+grace)
	defer cancel()
	cmd := h.command(ctx, h.variables(), nil, name)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return run{}, false, err
	}
	done := make(chan struct{})
	moment := time.Now().Add(h.moment(name))
	go func() {
		defer close(done)
		for time.Now().Before(moment) {
			time.Sleep(20 * time.Microsecond)
		}
		_ = cmd.Process.Signal(signal) // it may have ended by itself
	}()
	_ = cmd.Wait()
	<-done
	if ctx.Err() != nil {
		return run{}, false, fmt.Errorf("it went on after %v:\n%s", signal, stderr.String())
	}
	r := run{status: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	// Before the program asks for signals, they end it as they end any.
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		after, err := h.snapshot()
		if err == nil && signal != syscall.SIGKILL && after.tree+after.records != before.tree+before.records {
			err = fmt.Errorf("%v ended it at once, and it had changed something", signal)
		}
		err = errors.Join(err, h.checkRecords(r, name, before.records, after.records))
		if err = errors.Join(err, h.whole(), h.checkSecrets(r)); err != nil {
			return r, true, err
		}
		return r, true, h.must("login")
	}
	return r, r.status != 0, h.check(r, name, before, 1)
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

// TestRemoved takes the build directory, or what an earlier login wrote, away while a login waits for its cloud, and at
// random moments.
func TestRemoved(t *testing.T) {
	k := newKit(t)
	for _, c := range []struct {
		name    string
		what    func(host) string
		fails   bool
		renewed bool // somebody makes the folder again
	}{
		{"build directory", func(h host) string { return h.clone() }, true, false},
		{"build directory, and made again", func(h host) string { return h.clone() }, false, true},
		{"output folder", func(h host) string { return h.output() }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, err := k.host(1)
			if err != nil {
				t.Fatal(err)
			}
			defer h.end()
			h.prepare(t, true)
			h.world.STS.Inject(func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
				_ = os.RemoveAll(c.what(h))
				if c.renewed {
					_ = os.Mkdir(c.what(h), 0o700)
				}
				fake.ServeHTTP(w, r)
			})
			r, err := h.do("login")
			if err != nil {
				t.Fatal(err)
			}
			var count tally
			count.add(r, true)
			found.note(t, count)
			if !c.fails {
				if err := errors.Join(h.check(r, "login", snapshot{}, 1), h.whole()); err != nil || r.status != 0 {
					t.Fatalf("status %d: %v\n%s", r.status, err, r.stderr)
				}
				return
			}
			if err := errors.Join(r.checkTold(), h.checkOutput(r)); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(h.clone()); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("the build directory is back: %v", err)
			}
		})
	}
	t.Run("at random moments", func(t *testing.T) {
		t.Parallel()
		times := rounds(8, 200)
		h, err := k.host(*seed)
		if err != nil {
			t.Fatal(err)
		}
		defer h.end()
		var count tally
		for range times {
			var removing sync.WaitGroup
			wait := h.moment("login")
			removing.Go(func() {
				time.Sleep(wait)
				_ = os.RemoveAll(h.output())
			})
			r, err := h.do("login")
			removing.Wait()
			count.add(r, r.status != 0)
			if r.status != 0 {
				err = errors.Join(err, r.checkTold())
			}
			// What is left may be half of a login, which the next one does not take for its own.
			if err := errors.Join(err, h.checkSecrets(r), os.RemoveAll(h.output()), h.must("login"), h.whole()); err != nil {
				t.Fatal(err)
			}
		}
		found.note(t, count)
	})
}

// TestAtOnce starts several commands in one build directory. Each does its work, and the files are of one login.
func TestAtOnce(t *testing.T) {
	k := newKit(t)
	times := rounds(5, 50)
	for _, names := range [][]string{
		{"login", "login"},
		slices.Repeat([]string{"login"}, 8),
		{"login", "logout"},
		{"login", "logout", "login", "logout"},
	} {
		t.Run(strings.Join(names, " "), func(t *testing.T) {
			t.Parallel()
			h, err := k.host(*seed)
			if err != nil {
				t.Fatal(err)
			}
			defer h.end()
			var count tally
			for range times {
				failures := make([]error, len(names))
				lives := make([]life, len(names))
				var all sync.WaitGroup
				for i, name := range names {
					wait := time.Duration(h.random.IntN(5_000)) * time.Microsecond
					all.Go(func() {
						time.Sleep(wait)
						lives[i].from = time.Now()
						failures[i] = h.must(name)
						lives[i].to = time.Now()
					})
				}
				all.Wait()
				if err := errors.Join(append(failures, h.whole(), h.checkSecrets(run{}))...); err != nil {
					t.Fatal(err)
				}
				count.done += len(names)
				count.hit += overlapping(lives)
				if err := h.must("login"); err != nil {
					t.Fatal(err)
				}
			}
			found.note(t, count)
		})
	}
}

// A life is when a process ran.
type life struct{ from, to time.Time }

// overlapping counts those that ran beside another one.
func overlapping(lives []life) int {
	n := 0
	for i, a := range lives {
		for j, b := range lives {
			if i != j && a.from.Before(b.to) && b.from.Before(a.to) {
				n++
				break
			}
		}
	}
	return n
}
