package chaos

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
		`(?m)^✖ (writing to|removing from|reading) \.bitbucket-oidc: |` +
			`^✖ (guard: no answer|guard: the guardrails changed|record: RECORD_FILE: )|^✖ (aws|gcp) default: .*: stopped$`,
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
