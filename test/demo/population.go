package main

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/test/cloud"
)

// population holds the rows of an auditor's package against what happened: the refusal before anything was asked for, and the session
// that AWS handed out.
func (d *demo) population() error {
	rows, err := table(filepath.Join(d.clone, "package", "population.csv"))
	if err != nil {
		return err
	}
	exceptions, err := table(filepath.Join(d.clone, "package", "exceptions.csv"))
	if err != nil {
		return err
	}
	if len(rows) != 2 || len(exceptions) != 1 {
		return fmt.Errorf("%d rows and %d exceptions", len(rows), len(exceptions))
	}
	session, ok := d.world.AWS.Session(rows[1]["credential_id"])
	if !ok {
		return fmt.Errorf("AWS knows of no key %s", rows[1]["credential_id"])
	}
	requests := d.world.STS.Requests()
	last := requests[len(requests)-1]
	step, issuer := cloud.DefaultStep(), d.world.Issuer.URL()
	both := map[string]string{
		"workspace_uuid": step.WorkspaceUUID, "repository": "acme/shop", "repository_uuid": step.RepositoryUUID, "branch": step.Branch, "build": "42",
		"pipeline_uuid": step.PipelineUUID, "step_uuid": step.StepUUID, "command": "login", "sequence": "1", "issuer": issuer, "subject": step.Subject(),
		"audience": step.WorkspaceAudience(), "token_sha256": digest(d.token), "account": cloud.AWSAccount, "became_name": last.Parameters["RoleSessionName"],
		"requested_seconds": last.Parameters["DurationSeconds"], "policy": "guard.yaml", "policy_digest": "sha256:" + digest(rules), "policy_applied": "true",
		"version": "dev", "environment_uuid": "", "environment": "", "commit": "", "pull_request": "", "chain": "", "triggerer_uuid": "", "policy_commit": "",
		"login_refused": "",
	}
	want := []map[string]string{
		{
			"event": "guardrail.denied", "activity": "Preauth", "status": "Failure", "disposition": "Blocked", "status_code": "guardrail.no-administrators",
			"status_detail": "no-administrators: No pipeline becomes an administrator.", "guardrails_failed": "no-administrators", "became_uid": adminRole,
			"provider": "", "region": "", "session": "", "credential_id": "", "expires": "", "granted_seconds": "", "operation": "", "request_id": "",
		},
		{
			"event": "aws.login.granted", "activity": "Logon", "status": "Success", "disposition": "Allowed", "status_code": "", "status_detail": "",
			"guardrails_failed": "", "became_uid": last.Parameters["RoleArn"], "provider": "AWS", "region": "eu-west-1", "session": session.Principal(),
			"credential_id": session.AccessKeyID, "expires": session.Expires.UTC().Format("2006-01-02T15:04:05.000Z"), "granted_seconds": "",
			"operation": last.Operation, "request_id": d.requestID,
		},
	}
	for i, row := range rows {
		maps.Copy(want[i], both)
		at, err := time.Parse(time.RFC3339, row["time"])
		if err != nil || time.Since(at) > timeout || row["metadata.uid"] == "" {
			return fmt.Errorf("row %d has the time %q and the id %q", i+1, row["time"], row["metadata.uid"])
		}
		if i == 1 {
			want[i]["granted_seconds"] = fmt.Sprint(int(session.Expires.Sub(at).Round(time.Second).Seconds()))
		}
		want[i]["time"], want[i]["metadata.uid"] = row["time"], row["metadata.uid"]
		for _, column := range slices.Sorted(maps.Keys(row)) {
			if truth, known := want[i][column]; !known || row[column] != truth {
				return fmt.Errorf("row %d says of %s %q, and the truth is %q", i+1, column, row[column], truth)
			}
		}
	}
	if got := exceptions[0]; got["metadata.uid"] != rows[0]["metadata.uid"] || got["exception"] != "guardrail-denied" {
		return fmt.Errorf("the exception is %s of %s", got["exception"], got["metadata.uid"])
	}
	page, err := os.ReadFile(filepath.Join(d.clone, "package", "report.html"))
	if err != nil || !strings.Contains(string(page), "2 records, 1 exception") || !strings.HasSuffix(strings.TrimSpace(string(page)), "</html>") {
		return fmt.Errorf("report.html does not show the exception: %v", err)
	}
	return nil
}

// table is a file of CSV, each row by the names of its columns.
func table(path string) ([]map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil || len(lines) == 0 {
		return nil, fmt.Errorf("%s: no table: %w", filepath.Base(path), err)
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
