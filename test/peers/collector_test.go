package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"bitbucket-oidc/internal/record/ocsftest"
	"bitbucket-oidc/test/cloud"
)

// collectorLimit bounds building the collector: 160 seconds of processor time and 760 MB, once per machine.
const collectorLimit = 8 * time.Minute

// TestCollector sends records to an OpenTelemetry Collector in every encoding. What the collector passes on is what the file has.
func TestCollector(t *testing.T) {
	t.Parallel()
	program, err := collector(t.Context())
	if err != nil {
		verdicts.skip(t, "opentelemetry-collector", "not built: "+err.Error())
	}
	verdicts.ran("opentelemetry-collector")
	taken := filepath.Join(t.TempDir(), "taken.jsonl")
	address := freeAddress(t)
	const untilStdinEnds = `"$@" & cat; kill -9 $!` // however the test ends
	server := exec.Command("sh", "-c", untilStdinEnds, "sh", program, address, taken)
	server.Env = []string{"PATH=" + os.Getenv("PATH")}
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait() // by a signal, of course
	})

	w := newWorld(t)
	variables := []string{
		"RECORD_OTLP=http://" + address, "RECORD_FILE=records.jsonl", "RECORD_REQUIRED=true", "RECORD_TIMEOUT=20s", "BITBUCKET_REPO_FULL_NAME=acme/shop",
		"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_OIDC_ROLES=audit=" + auditRole, "GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName,
	}
	seen := 0
	for _, protocol := range []string{"http/protobuf", "http/json"} {
		for _, compression := range []string{"none", "gzip"} {
			env := w.login(t, login{variables: append(variables, "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol, "OTEL_EXPORTER_OTLP_COMPRESSION="+compression)})
			sent := jsonLines(t, filepath.Join(filepath.Dir(filepath.Dir(env)), "records.jsonl"))
			requests := jsonLines(t, taken)
			if len(sent) != 3 || len(requests) != seen+1 {
				t.Fatalf("%s, %s: %d records in %d requests, want 3 in 1", protocol, compression, len(sent), len(requests)-seen)
			}
			seen++
			compareRecords(t, protocol+", "+compression, requests[seen-1], sent)
		}
	}
}

// An exported is what this test reads of a request in OTLP's JSON.
type exported struct {
	ResourceLogs []struct {
		Resource struct {
			Attributes []struct {
				Key   string
				Value struct{ StringValue string }
			}
		}
		ScopeLogs []struct {
			LogRecords []struct {
				TimeUnixNano, EventName string
			}
		}
	}
}

// compareRecords compares what the collector passed on with the lines of the file.
func compareRecords(t *testing.T, how string, request []byte, sent [][]byte) {
	t.Helper()
	var data exported
	if err := json.Unmarshal(request, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.ResourceLogs) != 1 || len(data.ResourceLogs[0].ScopeLogs) != 1 || len(data.ResourceLogs[0].ScopeLogs[0].LogRecords) != len(sent) {
		t.Fatalf("%s: want one resource with one scope of %d records:\n%s", how, len(sent), request)
	}
	resource := map[string]string{}
	for _, a := range data.ResourceLogs[0].Resource.Attributes {
		resource[a.Key] = a.Value.StringValue
	}
	if resource["service.name"] != "bitbucket-oidc" || resource["vcs.provider.name"] != "bitbucket" || resource["vcs.repository.name"] != "shop" {
		t.Errorf("%s: resource %v", how, resource)
	}

	sink := cloud.NewSink(nil) // turns the bodies into JSON
	forwarded := httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(request))
	forwarded.Header.Set("Content-Type", "application/json")
	sink.ServeHTTP(httptest.NewRecorder(), forwarded)
	got := bytes.Split(bytes.TrimSpace(sink.Records()), []byte("\n"))
	if len(got) != len(sent) {
		t.Fatalf("%s: %d records with a body, want %d", how, len(got), len(sent))
	}
	for i, line := range got {
		if problems := ocsftest.Problems(line); len(problems) > 0 {
			t.Errorf("%s: %v", how, problems)
		}
		var is, want any
		var wanted struct {
			Time     int64
			Metadata struct {
				EventCode string `json:"event_code"`
			}
		}
		if err := errors.Join(json.Unmarshal(line, &is), json.Unmarshal(sent[i], &want), json.Unmarshal(sent[i], &wanted)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(is, want) {
			t.Errorf("%s:\n%s\nwant\n%s", how, line, sent[i])
		}
		envelope := data.ResourceLogs[0].ScopeLogs[0].LogRecords[i]
		if envelope.TimeUnixNano != fmt.Sprint(wanted.Time*1e6) || envelope.EventName != "bitbucket_oidc."+wanted.Metadata.EventCode {
			t.Errorf("%s: %+v, want the time and the code of\n%s", how, envelope, sent[i])
		}
	}
}

func jsonLines(t *testing.T, file string) [][]byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
}

// collector is the program of ./collector, which is a module of its own.
func collector(ctx context.Context) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join("collector", name))
		if err != nil {
			return "", err
		}
		sum.Write(data)
	}
	dir, err := cached("collector-"+hex.EncodeToString(sum.Sum(nil)[:8]), func(dir string) error {
		ctx, cancel := context.WithTimeout(ctx, collectorLimit)
		defer cancel()
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "collector"), ".")
		build.Dir = "collector"
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		return quietly(build)
	})
	return filepath.Join(dir, "collector"), err
}
