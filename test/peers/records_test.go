package peers

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"bitbucket-oidc/test/cloud"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/defenseunicorns/go-oscal/src/pkg/validation"
)

// TestCloudEvents sends records to a receiver that the CloudEvents SDK makes: one event, and a batch of two.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	verdicts.ran("cloudevents")
	var mu sync.Mutex
	var got []cloudevents.Event
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Content-Type") == cloudevents.ApplicationCloudEventsBatchJSON {
			events, err := cloudevents.NewEventsFromHTTPRequest(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			got = append(got, events...)
			return
		}
		event, err := cloudevents.NewEventFromHTTPRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		got = append(got, *event)
	}))
	t.Cleanup(receiver.Close)
	w := newWorld(t)
	records := []string{"RECORD_URL=" + receiver.URL, "RECORD_REQUIRED=true", "BITBUCKET_REPO_FULL_NAME=acme/shop"}
	w.login(t, login{variables: append(records, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN)})
	w.login(t, login{variables: append(records, "AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "AWS_OIDC_ROLES=audit="+auditRole)})
	if len(got) != 3 {
		t.Fatalf("%d events, want 3", len(got))
	}
	for _, event := range got {
		var record struct {
			Metadata struct {
				UID string `json:"uid"`
			} `json:"metadata"`
		}
		if err := event.Validate(); err != nil {
			t.Error(err)
		}
		if err := event.DataAs(&record); err != nil || record.Metadata.UID != event.ID() || event.Source() != "https://bitbucket.org/acme/shop" {
			t.Errorf("%v: %v", event, err)
		}
	}
}

// TestOSCAL compares the assessment results of a package with the schema of OSCAL.
func TestOSCAL(t *testing.T) {
	t.Parallel()
	verdicts.ran("go-oscal")
	dir := t.TempDir()
	advisor := filepath.Join(dir, "bitbucket-oidc")
	if err := goBuild("../..", advisor, "./pipe/bitbucket-oidc"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	env := w.login(t, login{variables: []string{"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "RECORD_FILE=records.jsonl"}})
	records := filepath.Join(filepath.Dir(filepath.Dir(env)), "records.jsonl")
	data, err := os.ReadFile(records)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(records, append(data, "not a record\n"...), 0o600); err != nil { // which is a finding
		t.Fatal(err)
	}
	arguments := []string{advisor, "evidence", "--records", records, "--from", "2020-01-01", "--to", "2099-12-31", "--out", filepath.Join(dir, "package")}
	if out, err := run(t, dir, []string{"PATH=" + os.Getenv("PATH")}, arguments...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	document, err := os.ReadFile(filepath.Join(dir, "package", "oscal.json"))
	if err != nil {
		t.Fatal(err)
	}
	validator, err := validation.NewValidatorDesiredVersion(document, "1.1.3")
	if err != nil {
		t.Fatal(err)
	}
	if err := validator.Validate(); err != nil {
		t.Error(err)
	}
}
