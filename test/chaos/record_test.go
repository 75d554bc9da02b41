package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitbucket-oidc/test/cloud"
)

// recordsFile is where records go on a host that is held to guardrails.
const recordsFile = "records.jsonl"

func heldVariables() []string {
	return []string{
		"GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail, // no map grants a provider
		"GUARD_FILE=guard.yaml", "GUARD_MAP=access.yaml", "RECORD_FILE=" + recordsFile, "RECORD_REQUIRED=true",
	}
}

// hold writes guardrails that every login keeps: one that is judged before the exchange, one after it, and a map.
func (h *host) hold(t *testing.T, held bool) {
	t.Helper()
	if h.held = held; !held {
		return
	}
	rules := "version: 1\nrules:\n  - {name: before, require: \"true\", message: Never refused.}\n" +
		"  - {name: after, require: \"credential.expires > now\", message: Never refused.}\n"
	granted := fmt.Sprintf("version: 1\nworkspace: {slug: %s, uuid: %q}\nrepositories:\n  shop: {uuid: %q}\ngrants:\n  - {who: [shop/none], become: [%q, %q]}\n",
		cloud.Workspace, cloud.WorkspaceUUID, cloud.RepositoryUUID, cloud.RoleARN, cloud.ServiceAccountEmail)
	for name, text := range map[string]string{"guard.yaml": rules, "access.yaml": granted} {
		path := filepath.Join(h.clone(), name)
		_ = os.Remove(path) // which may be a pipe by now
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (h host) records() (string, error) {
	data, err := os.ReadFile(filepath.Join(h.clone(), recordsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

// withoutRecords is a tree without the file of records.
func withoutRecords(tree string) string {
	var b strings.Builder
	for line := range strings.Lines(tree) {
		if !strings.HasPrefix(line, "/"+recordsFile+" ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// A recordLine is one record, as far as it is judged here.
type recordLine struct {
	Metadata struct {
		UID       string
		EventCode string `json:"event_code"`
	}
	Session struct {
		CredentialUID string `json:"credential_uid"`
	}
}

// checkRecords fails if a record was lost, or a line is no record though nobody killed the program, or a login that succeeded has not
// recorded just what it wrote.
func (h host) checkRecords(r run, name, before, after string) error {
	added, kept := strings.CutPrefix(after, before)
	if !h.held || !kept {
		if !kept {
			return errors.New("records that were there are lost")
		}
		return nil
	}
	granted := map[string]string{} // the key's id of each event
	for line := range strings.Lines(strings.TrimPrefix(added, "\n")) {
		var one recordLine
		if err := json.Unmarshal([]byte(line), &one); err != nil || !strings.HasSuffix(line, "\n") {
			if r.status < 0 {
				continue
			}
			return fmt.Errorf("status %d, and a line that is no record: %w\n%q", r.status, err, line)
		}
		granted[one.Metadata.EventCode] = one.Session.CredentialUID
	}
	if r.status != 0 || name != "login" {
		return nil
	}
	written, err := os.ReadFile(filepath.Join(h.output(), "aws/credentials"))
	_, google := granted["gcp.login.granted"]
	if id := granted["aws.login.granted"]; err != nil || id == "" || !google || !strings.Contains(string(written), "aws_access_key_id = "+id+"\n") {
		return fmt.Errorf("what was written is not what was recorded: %v, %w\n%s", granted, err, added)
	}
	info, err := os.Lstat(filepath.Join(h.clone(), recordsFile))
	if err != nil || info.Mode() != 0o600 {
		return fmt.Errorf("mode of the records: %v, %w", info.Mode(), err)
	}
	return nil
}

// TestRecordsAtOnce starts logins and logouts that share one file of records: no line is torn and none is lost.
func TestRecordsAtOnce(t *testing.T) {
	k := newKit(t)
	h, err := k.host(*seed)
	if err != nil {
		t.Fatal(err)
	}
	defer h.end()
	h.hold(t, true)
	var count tally
	for range rounds(2, 20) {
		const logins = 8
		before, err := h.records()
		if err != nil {
			t.Fatal(err)
		}
		failures := make(chan error, logins)
		for i := range logins {
			go func() {
				r, err := h.run(append(h.variables(), fmt.Sprintf("OUTPUT_DIR=.out-%d", i)), nil, "login", hostLimit, nil)
				if r.status != 0 {
					err = fmt.Errorf("status %d: %w\n%s", r.status, err, r.stderr)
				}
				failures <- err
			}()
		}
		for range logins {
			err = errors.Join(err, <-failures)
		}
		after, err2 := h.records()
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		added := strings.TrimPrefix(after, before)
		seen := map[string]bool{}
		for line := range strings.Lines(added) {
			var one recordLine
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatalf("a line that is no record: %v\n%q", err, line)
			}
			seen[one.Metadata.UID] = true
		}
		if len(seen) != 2*logins || !strings.HasPrefix(after, before) {
			t.Fatalf("%d records of %d logins to two clouds", len(seen), logins)
		}
		count.done += logins
		count.hit += logins
	}
	found.note(t, count)
}
