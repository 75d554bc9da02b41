package peers

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/record/ocsftest"
)

// TestObjectLock has a login store its record in MinIO with the credential that it just obtained, in a bucket with Object Lock. AWS's own
// command line, with the same credential and with all that this credential may do, reads it and can neither remove nor replace it.
func TestObjectLock(t *testing.T) {
	t.Parallel()
	aws, err := onPath("aws")()
	if err != nil {
		verdicts.skip(t, "s3-object-lock", "aws is "+err.Error())
	}
	p, _, role := newMinIO(t)
	verdicts.ran("s3-object-lock")
	plain := []string{"AWS_OIDC_ROLE_ARN=" + role}
	env := p.login(t, login{variables: plain})
	// s3api is a call of AWS's command line in a step that has signed in.
	s3api := func(arguments ...string) (string, error) {
		t.Helper()
		command := append([]string{"sh", "-c", `set -eu; . "$1"; shift; exec "$@"`, "sh", env}, aws...)
		command = append(command, "--endpoint-url", p.url, "--output", "json", "s3api")
		return run(t, "", p.environment(t.TempDir()), append(command, arguments...)...)
	}
	must := func(arguments ...string) []byte {
		t.Helper()
		out, err := s3api(arguments...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", arguments, err, mask(out, p.secrets()))
		}
		return []byte(out)
	}
	const bucket = "audit"
	must("create-bucket", "--bucket", bucket, "--object-lock-enabled-for-bucket")

	before := time.Now()
	recorded := append(plain, "AWS_ENDPOINT_URL_S3="+p.url, "AWS_REGION=us-east-1", "RECORD_S3=s3://"+bucket+"/team=a/ci", "RECORD_S3_RETENTION=24h",
		"RECORD_FILE=records.jsonl", "RECORD_REQUIRED=true", "BITBUCKET_REPO_FULL_NAME=acme/shop")
	written := p.login(t, login{variables: recorded})

	var listed struct {
		Contents []struct{ Key string }
	}
	if err := json.Unmarshal(must("list-objects-v2", "--bucket", bucket), &listed); err != nil || len(listed.Contents) != 1 {
		t.Fatalf("%d objects, want 1: %v", len(listed.Contents), err)
	}
	key := listed.Contents[0].Key
	if !strings.HasPrefix(key, "team=a/ci/acme/shop/"+before.UTC().Format("2006/01/")) {
		t.Errorf("stored as %q", key)
	}
	got := filepath.Join(t.TempDir(), "got.jsonl")
	read := func() []byte {
		t.Helper()
		must("get-object", "--bucket", bucket, "--key", key, "--checksum-mode", "ENABLED", got)
		data, err := os.ReadFile(got)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	line := read()
	same, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(written)), "records.jsonl"))
	if err != nil || !bytes.Equal(line, same) {
		t.Errorf("S3 and the file have other records: %v", err)
	}
	if problems := ocsftest.Problems(bytes.TrimSpace(line)); len(problems) > 0 {
		t.Error(problems)
	}

	var head struct {
		VersionID       string    `json:"VersionId"`
		ContentType     string    `json:"ContentType"`
		LockMode        string    `json:"ObjectLockMode"`
		LockRetainUntil time.Time `json:"ObjectLockRetainUntilDate"`
	}
	if err := json.Unmarshal(must("head-object", "--bucket", bucket, "--key", key), &head); err != nil {
		t.Fatal(err)
	}
	kept := head.LockRetainUntil.Sub(before)
	if head.LockMode != "COMPLIANCE" || kept < 24*time.Hour-time.Minute || kept > 24*time.Hour+5*time.Minute || head.ContentType != "application/x-ndjson" {
		t.Errorf("%+v, want COMPLIANCE for 24 hours", head)
	}

	for _, refused := range [][]string{
		{"delete-object", "--bucket", bucket, "--key", key, "--version-id", head.VersionID},
		{"delete-object", "--bucket", bucket, "--key", key, "--version-id", head.VersionID, "--bypass-governance-retention"},
		{"put-object-retention", "--bucket", bucket, "--key", key, "--version-id", head.VersionID,
			"--retention", "Mode=COMPLIANCE,RetainUntilDate=" + time.Now().Add(time.Minute).UTC().Format(time.RFC3339)},
		{"put-object", "--bucket", bucket, "--key", key, "--if-none-match", "*"},
	} {
		if out, err := s3api(refused...); err == nil {
			t.Errorf("%v succeeded:\n%s", refused, out)
		}
	}
	if !bytes.Equal(read(), line) {
		t.Error("it has changed")
	}
	// What is put over it, or marked as deleted, is another version: the record itself stays.
	must("put-object", "--bucket", bucket, "--key", key)
	must("delete-object", "--bucket", bucket, "--key", key)
	must("get-object", "--bucket", bucket, "--key", key, "--version-id", head.VersionID, got)
	if data, err := os.ReadFile(got); err != nil || !bytes.Equal(data, line) {
		t.Errorf("the version has changed: %v", err)
	}
}
