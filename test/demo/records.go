package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bitbucket-oidc/test/cloud"
)

const (
	recordFile = "records.jsonl"
	adminRole  = "arn:aws:iam::123456789012:role/admin"

	rules = `version: 1
rules:
  - name: no-administrators
    require: "!request.target.endsWith('/admin')"
    message: No pipeline becomes an administrator.
    fix: Ask for the role deploy.
`
)

// guardrail is a rule of one's own that refuses before anything is sent, and the record of it; then a login that it lets through.
func (d *demo) guardrail(ctx context.Context) error {
	if err := os.WriteFile(filepath.Join(d.clone, "guard.yaml"), []byte(rules), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "+ cat guard.yaml\n%s\n", rules)
	sent := len(d.world.STS.Requests())
	variables := []string{"GUARD_FILE=guard.yaml", "RECORD_FILE=" + recordFile, "AWS_DEFAULT_REGION=eu-west-1"}
	said, err := d.runPipe(ctx, append(variables, "AWS_OIDC_ROLE_ARN="+adminRole))
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said, "✖ guard no-administrators: ") {
		return fmt.Errorf("guardrail: %v, want a refusal and exit status 1", err)
	}
	if n := len(d.world.STS.Requests()); n != sent {
		return errors.New("guardrail: something was sent")
	}
	d.world.STS.Inject(func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		fake.ServeHTTP(w, r)
		d.requestID = w.Header().Get("X-Amzn-Requestid")
	})
	if _, err := d.runPipe(ctx, append(variables, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN)); err != nil {
		return fmt.Errorf("guardrail: %w", err)
	}
	records, err := os.ReadFile(filepath.Join(d.clone, recordFile))
	if err != nil {
		return err
	}
	// An access key's id may stand in a record: CloudTrail shows it too.
	if err := d.secretFree(strings.ReplaceAll(string(records), `"credential_uid":"ASIA`, "")); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "+ cat %s\n", recordFile)
	var codes []string
	for line := range strings.Lines(string(records)) {
		var record struct {
			Time     int64
			Message  string
			Metadata struct {
				Code string `json:"event_code"`
			}
			Disposition string
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			return err
		}
		codes = append(codes, record.Metadata.Code)
		fmt.Fprintf(d.out, "{… %q: %q, %q: %q, %q: %q …}\n", "event_code", record.Metadata.Code, "disposition", record.Disposition, "message", record.Message)
	}
	if got := strings.Join(codes, " "); got != "guardrail.denied aws.login.granted" {
		return fmt.Errorf("guardrail: records %s", got)
	}
	return nil
}

// evidence is the package that an auditor gets of the records.
func (d *demo) evidence(ctx context.Context) error {
	arguments := []string{"evidence", "--records", recordFile, "--from", "2020-01-01", "--to", "2099-12-31", "--out", "package"}
	fmt.Fprintln(d.out, "\n+ bitbucket-oidc "+strings.Join(arguments, " "))
	advisor := exec.CommandContext(ctx, filepath.Join(filepath.Dir(d.pipe), "bitbucket-oidc"), arguments...)
	advisor.Dir, advisor.Env = d.clone, []string{"PATH=" + os.Getenv("PATH")}
	output, err := advisor.CombinedOutput()
	fmt.Fprint(d.out, string(output))
	if err != nil || !strings.Contains(string(output), "✔ 2 records and 1 exception in package") {
		return fmt.Errorf("evidence: %v", err)
	}
	if err := d.population(); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	if _, err := exec.LookPath("sha256sum"); err != nil {
		fmt.Fprintln(d.out, "SKIP sha256sum -c manifest.sha256: sha256sum is not installed")
		return nil
	}
	check := exec.CommandContext(ctx, "sha256sum", "-c", "manifest.sha256")
	check.Dir = filepath.Join(d.clone, "package")
	output, err = check.CombinedOutput()
	if err != nil {
		return fmt.Errorf("sha256sum -c manifest.sha256: %w\n%s", err, output)
	}
	fmt.Fprintf(d.out, "+ sha256sum -c manifest.sha256\n%d files: OK\n", strings.Count(string(output), ": OK\n"))
	return nil
}
