package record

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/secret"

	collector "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func journal(t *testing.T) *Journal {
	t.Helper()
	return &Journal{facts: facts(t), events: sample(t)}
}

// TestFile appends from several logins at once: no line is torn.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	const logins = 8
	for range logins {
		j := journal(t)
		all.Go(func() {
			sinks := Sinks{File: &File{BuildDir: dir, Name: "records.jsonl"}, Timeout: 10 * time.Second}
			if err := sinks.Deliver(t.Context(), j, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	data, err := os.ReadFile(filepath.Join(dir, "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if want := logins * len(sample(t)); len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("torn: %s", line)
		}
	}
	if info, _ := os.Stat(filepath.Join(dir, "records.jsonl")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// TestFileAfterATornLine keeps what a killed process has left apart from the next record.
func TestFileAfterATornLine(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "r")
	if err := os.WriteFile(name, []byte(`{"half":`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (Sinks{File: &File{BuildDir: dir, Name: "r"}, Timeout: time.Second}).Deliver(t.Context(), journal(t), nil); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(name)
	if !strings.HasPrefix(string(data), "{\"half\":\n{\"activity_id\"") {
		t.Errorf("begins with %.40q", data)
	}
	if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestFileRefused(t *testing.T) {
	tests := map[string]struct {
		name string
		make func(dir string) error
		says string
	}{
		"link":      {"r", func(dir string) error { return os.Symlink("elsewhere", dir+"/r") }, "r is not a regular file"},
		"folder":    {"r", func(dir string) error { return os.Mkdir(dir+"/r", 0o700) }, "r is not a regular file"},
		"FIFO":      {"r", func(dir string) error { return syscall.Mkfifo(dir+"/r", 0o600) }, "r is not a regular file"},
		"no folder": {"a/r", func(string) error { return nil }, "a is not there"},
		"linked folder": {"a/r", func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/b", 0o700), os.Symlink("b", dir+"/a"))
		}, "a is not a folder"},
		"second name": {"r", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/own", nil, 0o600), os.Link(dir+"/own", dir+"/r"))
		}, "has a second name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := test.make(dir); err != nil {
				t.Fatal(err)
			}
			f := &File{BuildDir: dir, Name: test.name}
			taken := Sinks{File: f, Timeout: time.Second}.Deliver(t.Context(), journal(t), nil)
			for _, err := range []error{f.Check(), taken} {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v, want %q", err, test.says)
				}
			}
		})
	}
}

// A receiver remembers the last request.
type receiver struct {
	*httptest.Server
	header http.Header
	path   string
	body   []byte
}

func receive(t *testing.T, status int, answer string) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.header, r.path = req.Header, req.URL.EscapedPath()
		r.body, _ = io.ReadAll(req.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func TestOTLP(t *testing.T) {
	tests := map[string]struct {
		o      OTLP
		answer string
		says   string
	}{
		"protobuf":                 {o: OTLP{}},
		"protobuf, small":          {o: OTLP{Gzip: true}},
		"JSON":                     {o: OTLP{JSON: true}, answer: `{"partialSuccess":{}}`},
		"JSON, small":              {o: OTLP{JSON: true, Gzip: true}, answer: `{}`},
		"JSON, rejected":           {o: OTLP{JSON: true}, answer: `{"partialSuccess":{"rejectedLogRecords":"2"}}`, says: "rejected 2 of"},
		"JSON, rejected, a number": {o: OTLP{JSON: true}, answer: `{"partialSuccess":{"rejectedLogRecords":2}}`, says: "rejected 2 of"},
		"JSON, rejected, no whole": {o: OTLP{JSON: true}, answer: `{"partialSuccess":{"rejectedLogRecords":1e3}}`, says: "not a collector's"},
		"protobuf, rejected, less": {answer: "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", says: "rejected -1 of"},
		"protobuf, rejected":       {answer: "\x0a\x02\x08\x03", says: "rejected 3 of"},
		"protobuf, a warning":      {answer: "\x0a\x03\x12\x01x"},
		"garbage":                  {answer: "hello", says: "not a collector's"},
		"JSON, garbage":            {o: OTLP{JSON: true}, answer: "hello", says: "not a collector's"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := receive(t, http.StatusOK, test.answer)
			o := test.o
			o.URL, o.Headers = r.URL+"/v1/logs", []Header{{"api-key", secret.New("sesame")}}
			err := Sinks{OTLP: &o, Timeout: time.Second}.Deliver(t.Context(), journal(t), nil)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			body := r.body
			if o.Gzip {
				zip, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				body, _ = io.ReadAll(zip)
			}
			var got collector.LogsData
			decode := proto.Unmarshal
			if o.JSON {
				decode = protojson.Unmarshal
			}
			if err := decode(body, &got); err != nil {
				t.Fatal(err)
			}
			records := got.ResourceLogs[0].ScopeLogs[0].LogRecords
			if len(records) != len(sample(t)) || records[0].EventName != "bitbucket_oidc.aws.login.granted" || r.header.Get("Api-Key") != "sesame" {
				t.Errorf("got %v", records)
			}
		})
	}
}

// TestServiceName: OTEL_SERVICE_NAME wins over the attribute in OTEL_RESOURCE_ATTRIBUTES, which wins over the program's name.
// (OpenTelemetry specification, "General SDK Configuration".)
func TestServiceName(t *testing.T) {
	attribute := map[string]string{"service.name": "of the attributes"}
	for want, o := range map[string]OTLP{
		programName:         {},
		"of the attributes": {Attributes: attribute},
		"of the variable":   {Attributes: attribute, ServiceName: "of the variable"},
	} {
		var got string
		for _, pair := range o.export(batch{facts: facts(t)}).ResourceLogs[0].Resource.Attributes {
			if pair.Key == "service.name" {
				got = pair.Value.GetStringValue()
			}
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWebhook(t *testing.T) {
	tests := map[string]struct {
		format, answer string
		status         int
		contentType    string
		says           string
	}{
		"cloudevents":     {"cloudevents", "", 202, "application/cloudevents-batch+json", ""},
		"ocsf":            {"ocsf", "", 200, "application/x-ndjson", ""},
		"splunk":          {"splunk", `{"text":"Success","code":0}`, 200, "application/json", ""},
		"a page":          {"cloudevents", "\n<!DOCTYPE html><title>Sign in", 200, "application/cloudevents-batch+json", "a page of HTML"},
		"a word":          {"ocsf", "thanks", 200, "application/x-ndjson", ""},
		"splunk, garbage": {"splunk", "hello", 200, "application/json", "not the Success"},
		"splunk, refused": {"splunk", `{"text":"Invalid token","code":4}`, 403, "application/json", "status 403"},
		"splunk, no data": {"splunk", `{"text":"No data","code":5}`, 200, "application/json", "not the Success"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := receive(t, test.status, test.answer)
			w := &Webhook{URL: r.URL + "/in", Format: test.format, Authorization: secret.New("Splunk sesame")}
			err := Sinks{Webhook: w, Timeout: time.Second}.Deliver(t.Context(), journal(t), nil)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			if r.header.Get("Content-Type") != test.contentType || r.header.Get("Authorization") != "Splunk sesame" {
				t.Errorf("header %v", r.header)
			}
			if n := count(t, r.body); n != len(sample(t)) {
				t.Errorf("%d records, want %d", n, len(sample(t)))
			}
		})
	}
}

// count is how many objects a body has, one after the other or in a list.
func count(t *testing.T, body []byte) int {
	t.Helper()
	n := 0
	for decoder := json.NewDecoder(bytes.NewReader(body)); decoder.More(); {
		var one any
		if err := decoder.Decode(&one); err != nil {
			t.Fatal(err)
		}
		if list, ok := one.([]any); ok {
			return len(list)
		}
		n++
	}
	return n
}

// TestOneCloudEvent is one event and no batch, for receivers that know none.
func TestOneCloudEvent(t *testing.T) {
	body, contentType := batch{facts: facts(t), events: sample(t)[:1]}.cloudEvents()
	var one cloudEvent
	if err := json.Unmarshal(body, &one); err != nil || contentType != "application/cloudevents+json" || one.Source != "https://bitbucket.org/acme/shop" {
		t.Errorf("%s: %s, %v", contentType, body, err)
	}
}

func TestS3(t *testing.T) {
	keys := &federation.Keys{ID: secret.New("ASIAEXAMPLE"), Region: "eu-west-1", Secret: secret.New("key"), Session: secret.New("session")}
	tests := map[string]struct {
		keys   *federation.Keys
		status int
		answer string
		says   string
	}{
		"stored":         {keys, 200, "", ""},
		"stored already": {keys, 412, "<Error><Code>PreconditionFailed</Code></Error>", ""},
		"denied":         {keys, 403, "<Error><Code>AccessDenied</Code></Error>", "status 403 AccessDenied"},
		"garbage":        {keys, 400, "<Code><script></Code>", "status 400"},
		"no keys":        {nil, 0, "", ErrNoKeys.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := receive(t, max(test.status, 200), test.answer)
			s := &S3{Bucket: "audit", Prefix: "year=2026/ci", Endpoint: r.URL, Retention: time.Hour}
			err := Sinks{S3: s, Timeout: time.Second}.Deliver(t.Context(), journal(t), test.keys)
			if (err == nil) != (test.says == "") || err != nil && !strings.HasSuffix(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			if test.keys == nil {
				return
			}
			if !strings.HasPrefix(r.path, "/audit/year%3D2026/ci/acme/shop/2026/09/21/step-") || r.header.Get("If-None-Match") != "*" ||
				r.header.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" {
				t.Errorf("%s %v", r.path, r.header)
			}
		})
	}
}

func TestS3Address(t *testing.T) {
	for want, s := range map[string]struct {
		S3
		region string
	}{
		"https://audit.s3.eu-west-1.amazonaws.com/k":                {S3{Bucket: "audit"}, "eu-west-1"},
		"https://s3.eu-west-1.amazonaws.com/audit.acme/k":           {S3{Bucket: "audit.acme"}, "eu-west-1"},
		"https://audit.s3.cn-north-1.amazonaws.com.cn/k":            {S3{Bucket: "audit"}, "cn-north-1"},
		"https://audit.s3.eusc-de-east-1.amazonaws.eu/k":            {S3{Bucket: "audit"}, "eusc-de-east-1"},
		"https://audit.s3-fips.dualstack.us-east-1.amazonaws.com/k": {S3{Bucket: "audit", FIPS: true, DualStack: true}, "us-east-1"},
		"http://127.0.0.1:9000/audit/k":                             {S3{Bucket: "audit", Endpoint: "http://127.0.0.1:9000"}, "eu-west-1"},
	} {
		if got := s.address(s.region, "k"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestEnds has a sink that does not answer: neither a healthy command nor one that was stopped waits for it longer than it may.
func TestEnds(t *testing.T) {
	end := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	t.Cleanup(func() { close(end); stuck.Close() })
	for name, test := range map[string]struct {
		timeout, whole time.Duration
		stopped        bool
		most           time.Duration
		says           string
	}{
		"RECORD_TIMEOUT":                  {200 * time.Millisecond, time.Minute, false, time.Second, "RECORD_TIMEOUT ran out"},
		"TIMEOUT comes before":            {time.Minute, 200 * time.Millisecond, false, 500 * time.Millisecond, "before TIMEOUT ran out"},
		"the command had ended":           {time.Minute, time.Minute, true, grace + grace/4, "a stopped command has left"},
		"the command had ended, and soon": {100 * time.Millisecond, time.Minute, true, time.Second, "RECORD_TIMEOUT ran out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), test.whole)
			defer cancel()
			if test.stopped {
				cancel()
			}
			dir, start := t.TempDir(), time.Now()
			s := Sinks{
				File: &File{BuildDir: dir, Name: "r"}, Webhook: &Webhook{URL: stuck.URL, Format: "ocsf"}, Timeout: test.timeout,
			}
			err := s.Deliver(ctx, journal(t), nil)
			if took := time.Since(start); took > test.most {
				t.Errorf("it took %v", took)
			}
			if err == nil || !strings.Contains(err.Error(), "RECORD_URL") || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "RECORD_FILE") {
				t.Errorf("error %v", err)
			}
			if info, err := os.Stat(filepath.Join(dir, "r")); err != nil || info.Size() == 0 {
				t.Errorf("the other sink has nothing: %v", err)
			}
		})
	}
}

// BenchmarkFile is what a file of records adds to a login: at most a millisecond.
func BenchmarkFile(b *testing.B) {
	sinks := Sinks{File: &File{BuildDir: b.TempDir(), Name: "records.jsonl"}, Timeout: time.Minute}
	for b.Loop() {
		j := Begin(Facts{Command: "login"})
		j.Exchanged([]federation.Outcome{{Target: target("default", deploy), Call: call("1", session)}}, false)
		if err := sinks.Deliver(b.Context(), j, nil); err != nil {
			b.Fatal(err)
		}
	}
}
