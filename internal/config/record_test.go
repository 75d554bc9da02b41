package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// checkout is a build directory with things in it that a variable may name and must not.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"ci", ".bitbucket-oidc"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("ci/guard.yaml")
	write("ci/map.yaml")
	for _, link := range [][2]string{{"guard.yaml", "ci/link.yaml"}, {"ci", "linked"}, {"/etc", "etc"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "ci/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPlacesInTheBuildDirectory(t *testing.T) {
	dir := checkout(t)
	const ok = ""
	for _, c := range []struct {
		path, guard, record string // what is said of it, or ok
	}{
		{"ci/guard.yaml", ok, ok},
		{dir + "/ci/guard.yaml", ok, ok},
		{"ci/../ci/guard.yaml", ok, ok},
		{"ci/new.jsonl", "no regular file", ok},
		{"ci", "no regular file", "not a regular file"},
		{"ci/fifo", "no regular file", "not a regular file"},
		{"ci/link.yaml", "no regular file", "not a regular file"},
		{"linked/guard.yaml", "a link in its place", "a link in its place"},
		{"etc/passwd", "a link in its place", "a link in its place"},
		{"none/guard.yaml", "a folder that does not exist", "a folder that does not exist"},
		{"../guard.yaml", "outside the build directory", "outside the build directory"},
		{"/etc/passwd", "outside the build directory", "outside the build directory"},
		{".", "outside the build directory", "outside the build directory"},
		{".bitbucket-oidc/x", "no regular file", "in OUTPUT_DIR"},
		{"$GUARD", "nothing has replaced", "nothing has replaced"},
	} {
		for name, want := range map[string]string{"GUARD_FILE": c.guard, "GUARD_MAP": c.guard, "RECORD_FILE": c.record} {
			v := vars("BITBUCKET_CLONE_DIR="+dir, name+"="+c.path)
			guard, record := v.Guard(), v.Record(false)
			got := guard.File + guard.Map + record.File
			err := v.Err()
			taken := err == nil && filepath.IsAbs(got)
			refused := err != nil && got == "" && strings.Contains(err.Error(), name+": ") && strings.Contains(err.Error(), want)
			if want == ok && !taken || want != ok && !refused {
				t.Errorf("%s=%s: %q, %v, want %q", name, c.path, got, err, want)
			}
		}
	}
}

func TestRecord(t *testing.T) {
	v := vars("RECORD_URL=https://siem.example.com/in?x=y", "RECORD_FORMAT=splunk", "RECORD_AUTHORIZATION=Splunk "+canary, "RECORD_S3=s3://audit-logs/ci/shop/",
		"RECORD_S3_RETENTION=8760h", "RECORD_REQUIRED=yes", "RECORD_TIMEOUT=3", "RECORD_OTLP=true",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example.com:4318/", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/json",
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b,x-tenant=acme")
	r := v.Record(true)
	if v.Err() != nil || r.Format != "splunk" || r.Authorization.Reveal() != "Splunk "+canary || !r.Required || r.Timeout != 3*time.Second || r.Sinks() != 3 {
		t.Fatalf("%+v, %v", r, v.Err())
	}
	if *r.S3 != (S3{Bucket: "audit-logs", Prefix: "ci/shop", Retention: 8760 * time.Hour}) {
		t.Errorf("%+v", r.S3)
	}
	var headers []string
	for _, h := range r.OTLP.Headers {
		headers = append(headers, h.Name+"="+h.Value.Reveal())
	}
	if r.OTLP.URL != "https://collector.example.com:4318/v1/logs" || !r.OTLP.JSON || !slices.Equal(headers, []string{"api-key=a b", "x-tenant=acme"}) {
		t.Errorf("%+v, %q", r.OTLP, headers)
	}
	if r := vars().Record(false); r.Sinks() != 0 || r.Timeout != 5*time.Second || r.Format != "cloudevents" {
		t.Errorf("%+v", r)
	}
	if r := vars("RECORD_OTLP=http://127.0.0.1:4318").Record(false); r.OTLP.URL != "http://127.0.0.1:4318/v1/logs" || r.OTLP.JSON {
		t.Errorf("%+v", r.OTLP)
	}
	for given, want := range map[string]string{
		"https://collector.example/otlp/":         "https://collector.example/otlp/v1/logs",
		"https://collector.example:4318/v1/logs":  "https://collector.example:4318/v1/logs",
		"https://collector.example:4318/v1/logs/": "https://collector.example:4318/v1/logs",
	} {
		if r := vars("RECORD_OTLP=" + given).Record(false); r.OTLP.URL != want {
			t.Errorf("%s: %s, want %s", given, r.OTLP.URL, want)
		}
	}
	if r := vars("RECORD_OTLP=off").Record(false); r.OTLP != nil {
		t.Errorf("%+v", r.OTLP)
	}
}

func TestRecordRefuses(t *testing.T) {
	for _, c := range []struct {
		says      string
		variables []string
	}{
		{"RECORD_REQUIRED: set without a place", []string{"RECORD_REQUIRED=true"}},
		{"RECORD_S3: set without a login to AWS", []string{"RECORD_S3=s3://audit-logs"}},
		{"RECORD_S3: ", []string{"RECORD_S3=https://" + canary}},
		{"RECORD_S3_RETENTION: set without RECORD_S3", []string{"RECORD_S3_RETENTION=1h"}},
		{"RECORD_FORMAT: ", []string{"RECORD_FORMAT=xml", "RECORD_URL=https://x.example"}},
		{"RECORD_AUTHORIZATION: set without RECORD_URL", []string{"RECORD_AUTHORIZATION=" + canary}},
		{"RECORD_AUTHORIZATION: ", []string{"RECORD_AUTHORIZATION=a\r\nb: " + canary, "RECORD_URL=https://x.example"}},
		{"RECORD_URL: not https", []string{"RECORD_URL=http://x.example"}},
		{"RECORD_OTLP: ", []string{"RECORD_OTLP=" + canary}},
		{"OTEL_EXPORTER_OTLP_PROTOCOL: a protocol that the pipe does not speak", []string{"RECORD_OTLP=true", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}},
		{"RECORD_FILE: the file of GUARD_FILE", []string{"RECORD_FILE=./guard.yaml", "GUARD_FILE=guard.yaml", "BITBUCKET_CLONE_DIR=" + t.TempDir()}},
		{"RECORD_OTLP: a URL with a query", []string{"RECORD_OTLP=https://collector.example?key=" + canary}},
		{"OTEL_EXPORTER_OTLP_HEADERS: ", []string{"RECORD_OTLP=true", "OTEL_EXPORTER_OTLP_HEADERS=key=" + canary + "%0d%0ax: y"}},
		{"OTEL_EXPORTER_OTLP_LOGS_HEADERS: ", []string{"RECORD_OTLP=true", "OTEL_EXPORTER_OTLP_LOGS_HEADERS=key=" + canary + "%zz"}},
		{"OTEL_EXPORTER_OTLP_HEADERS: ", []string{"RECORD_OTLP=true", "OTEL_EXPORTER_OTLP_HEADERS=" + canary}},
		{"OTEL_RESOURCE_ATTRIBUTES: ", []string{"RECORD_OTLP=true", "OTEL_RESOURCE_ATTRIBUTES=" + canary}},
		{"RECORD_S3: ", []string{"RECORD_S3=s3://audit/../" + canary}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT: not https", []string{"RECORD_OTLP=true", "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.example"}},
		{"RECORD_TIMEOUT: ", []string{"RECORD_TIMEOUT=soon"}},
	} {
		v := vars(c.variables...)
		v.Record(false)
		if err := v.Err(); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary) || len(*v.problems) != 1 {
			t.Errorf("%q: %v, want one that says %q", c.variables, err, c.says)
		}
	}
}
