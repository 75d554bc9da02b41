package test

import (
	"bytes"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/record/ocsftest"
	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

// A place takes records.
type place struct {
	name, form string
	address    string                        // of one that works; empty for a file
	variables  func(address string) []string // that name it
	own        map[string]cloud.Fault        // that only this place has
}

// serve is an address of its own for the sink, whose requests all meet a fault.
func (tr *truth) serve(fault cloud.Fault) string {
	server, err := cloud.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fault(w, r, tr.world.Sink) }))
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(server.Close)
	return server.URL
}

// places are all of them, in each form. At most one place of a variable is named in one run.
func places(tr *truth) []place {
	answer := func(status int, contentType, body string) cloud.Fault {
		return cloud.Answer(status, http.Header{"Content-Type": {contentType}}, body)
	}
	all := []place{{name: "RECORD_FILE", variables: func(string) []string { return []string{"RECORD_FILE=records.jsonl"} }}}
	for form, partly := range map[string]cloud.Fault{
		"http/protobuf": answer(200, "application/x-protobuf", "\x0a\x02\x08\x01"),
		"http/json":     answer(200, "application/json", `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}`),
	} {
		all = append(all, place{
			name: "RECORD_OTLP", form: form, own: map[string]cloud.Fault{"takes a part": partly, "answers garbage": answer(200, "application/json", "thank you")},
			variables: func(address string) []string {
				return []string{"RECORD_OTLP=" + address, "OTEL_EXPORTER_OTLP_PROTOCOL=" + form}
			},
		})
	}
	for form, own := range map[string]map[string]cloud.Fault{
		"cloudevents": nil, "ocsf": nil,
		"splunk": {"is busy": answer(200, "application/json", `{"text":"Server is busy","code":9}`), "is cut off": cloud.Truncate},
	} {
		path := "/events"
		if form == "splunk" {
			path = "/services/collector/event"
		}
		all = append(all, place{name: "RECORD_URL", form: form, own: own, variables: func(address string) []string {
			return []string{"RECORD_URL=" + address + path, "RECORD_FORMAT=" + form, "RECORD_AUTHORIZATION=" + tr.world.Sink.Authorization}
		}})
	}
	all = append(all, place{
		name: "RECORD_S3",
		own: map[string]cloud.Fault{
			"denies":      answer(403, "application/xml", "<Error><Code>AccessDenied</Code></Error>"),
			"has no lock": answer(400, "application/xml", "<Error><Code>InvalidRequest</Code></Error>"),
		},
		variables: func(address string) []string {
			return []string{"RECORD_S3=s3://audit/ci", "AWS_ENDPOINT_URL_S3=" + address}
		},
	})
	for i, p := range all {
		if p.name != "RECORD_FILE" {
			all[i].address = tr.serve(cloud.Pass)
		}
	}
	return all
}

// placed are the variables that name a set of places.
func placed(set []place) []string {
	var all []string
	for _, p := range set {
		all = append(all, p.variables(p.address)...)
	}
	return all
}

// sets are all sets of places with at most one form of each, without the empty one.
func sets(all []place) [][]place {
	found := [][]place{{}}
	for _, p := range all {
		for _, set := range found {
			if !slices.ContainsFunc(set, func(o place) bool { return o.name == p.name }) {
				found = append(found, append(slices.Clone(set), p))
			}
		}
	}
	return found[1:]
}

// together is a place with one for each of the other variables, all of which work.
func together(all []place, one place) []place {
	set := []place{one}
	for _, p := range all {
		if !slices.ContainsFunc(set, func(o place) bool { return o.name == p.name }) {
			set = append(set, p)
		}
	}
	return set
}

// faults are what any server can do instead of taking a record, except those that need a server of another kind.
func faults(elsewhere string) map[string]cloud.Fault {
	return map[string]cloud.Fault{
		"is slow":         cloud.Hang,
		"hangs up":        cloud.HangUp,
		"redirects":       cloud.Redirect(elsewhere),
		"is a portal":     cloud.HTML,
		"refuses, loudly": cloud.Echo(400),
		"is overloaded":   cloud.Answer(429, http.Header{"Retry-After": {"60"}}, ""),
		"is broken":       cloud.Answer(500, nil, "no"),
	}
}

// unserved are addresses at which nobody is who could take a record.
func (tr *truth) unserved() map[string]string {
	gone, err := cloud.Serve(http.NotFoundHandler())
	if err != nil {
		tr.t.Fatal(err)
	}
	gone.Close()
	unknown := httptest.NewUnstartedServer(tr.world.Sink)
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that failed
	unknown.StartTLS()
	tr.t.Cleanup(unknown.Close)
	return map[string]string{"is down": gone.URL, "has a certificate of its own": unknown.URL}
}

// TestSinks: in every set of places, all get the record of a login, and it is the same one.
func TestSinks(t *testing.T) {
	tr := newTruth(t, builtPipe(t), map[string]bool{})
	for _, set := range sets(places(tr)) {
		var names []string
		servers := 0
		for _, p := range set {
			names = append(names, strings.TrimSpace(p.name+" "+p.form))
			if p.address != "" {
				servers++
			}
		}
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			tr.t = t
			before := len(tr.world.Sink.Records())
			tr.login(0, append(placed(set), "RECORD_REQUIRED=true")...)
			came := slices.Collect(bytes.Lines(tr.world.Sink.Records()[before:]))
			if len(came) != servers {
				t.Errorf("%d records came, and %d servers were named", len(came), servers)
			}
			if servers < len(set) {
				came = append(came, tr.read("records.jsonl"))
			}
			for _, record := range came[1:] {
				if first := flat(came[0]); !maps.Equal(flat(record), first) {
					t.Errorf("one place has %s, and another one %s", came[0], record)
				}
			}
			tr.leaves(servers < len(set), true)
		})
	}
}

// TestSinksFail: where one place does not take the record, alone or beside others that do, the login fails if records are required, and
// nothing is on the disk but the file of records.
func TestSinksFail(t *testing.T) {
	pipe := builtPipe(t)
	for i, p := range places(newTruth(t, pipe, map[string]bool{})) {
		if p.address == "" {
			continue
		}
		t.Run(strings.TrimSpace(p.name+" "+p.form), func(t *testing.T) {
			t.Parallel()
			tr := newTruth(t, pipe, map[string]bool{})
			all := places(tr)
			asked := 0
			elsewhere := tr.serve(func(http.ResponseWriter, *http.Request, http.Handler) { asked++ })
			ways := tr.unserved()
			for name, fault := range joinedFaults(faults(elsewhere), all[i].own) {
				ways[name] = tr.serve(fault)
			}
			for name, address := range ways {
				t.Run(name, func(t *testing.T) {
					tr.t = t
					tr.failing(all, all[i], address)
				})
			}
			if asked > 0 {
				t.Errorf("%d requests followed a redirect", asked)
			}
		})
	}
}

// failing is a login whose records one place does not take.
func (tr *truth) failing(all []place, bad place, address string) {
	tr.t.Helper()
	bad.address = address
	for _, set := range [][]place{{bad}, together(all, bad)} {
		tr.login(1, append(placed(set), "RECORD_TIMEOUT=800ms", "RECORD_REQUIRED=true")...)
		if !strings.Contains(tr.out, "✖ record: "+bad.name+": ") || strings.Count(tr.out, "✖ ") != 1 || !strings.Contains(tr.out, "hint: ") {
			tr.t.Errorf("it is not said, or more than that:\n%s", tr.out)
		}
		tr.leaves(len(set) > 1, false)
	}
	tr.login(0, append(placed([]place{bad}), "RECORD_TIMEOUT=800ms")...)
	if !strings.Contains(tr.out, "warning: record: "+bad.name+": ") {
		tr.t.Errorf("no warning:\n%s", tr.out)
	}
	tr.leaves(false, true)
}

func joinedFaults(parts ...map[string]cloud.Fault) map[string]cloud.Fault {
	all := map[string]cloud.Fault{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

func builtPipe(t *testing.T) string {
	t.Helper()
	pipe, err := program.Build(t.Context(), t.TempDir(), "-ldflags=-w")
	if err != nil {
		t.Fatal(err)
	}
	return pipe
}

// login is a run whose records are not read. All that it prints is free of secrets.
func (tr *truth) login(status int, variables ...string) {
	tr.t.Helper()
	tr.run("login", status, append([]string{"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, region}, variables...)...)
	if err := cloud.CheckText(tr.out, tr.world.Secrets()); err != nil {
		tr.t.Errorf("%v:\n%s", err, tr.out)
	}
}

// leaves holds the build directory to what a login may have left there, and takes it away: the file of records with one valid record,
// and credentials only after a login that was granted.
func (tr *truth) leaves(records, granted bool) {
	tr.t.Helper()
	want := []string{"bitbucket-pipelines.yml", "guard.yaml"}
	if granted {
		want = append([]string{".bitbucket-oidc"}, want...)
	}
	if records {
		want = append(want, "records.jsonl")
		data, _ := os.ReadFile(filepath.Join(tr.clone, "records.jsonl"))
		for _, problem := range ocsftest.Problems(bytes.TrimSpace(data)) {
			tr.t.Error(problem)
		}
	}
	entries, err := os.ReadDir(tr.clone)
	if err != nil {
		tr.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		tr.t.Errorf("the build directory has %q, want %q", got, want)
	}
	_ = os.RemoveAll(filepath.Join(tr.clone, ".bitbucket-oidc"))
	_ = os.Remove(filepath.Join(tr.clone, "records.jsonl"))
}

// TestRecordFileHeld: another process holds the file. The login ends in time and says so, and the file is as it was.
func TestRecordFileHeld(t *testing.T) {
	tr := newTruth(t, builtPipe(t), map[string]bool{})
	for _, c := range []struct {
		name      string
		variables []string
		status    int
		says      string
		most      time.Duration
	}{
		{"required", []string{"RECORD_REQUIRED=true", "RECORD_TIMEOUT=300ms"}, 1, "✖ record: RECORD_FILE: another login is writing to the file", 3 * time.Second},
		{"not required", []string{"RECORD_TIMEOUT=300ms"}, 0, "warning: record: RECORD_FILE: another login is writing to the file", 3 * time.Second},
		{"TIMEOUT comes first", []string{"RECORD_REQUIRED=true", "RECORD_TIMEOUT=1m", "TIMEOUT=1s"}, 1, "✖ record: RECORD_FILE: ", 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr.t = t
			tr.write("records.jsonl", "{}\n")
			held, err := os.Open(filepath.Join(tr.clone, "records.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			tr.login(c.status, append(c.variables, "RECORD_FILE=records.jsonl")...)
			if !strings.Contains(tr.out, c.says) || tr.to.Sub(tr.from) > c.most {
				t.Errorf("it took %v:\n%s", tr.to.Sub(tr.from), tr.out)
			}
			if data, err := os.ReadFile(filepath.Join(tr.clone, "records.jsonl")); err != nil || string(data) != "{}\n" {
				t.Errorf("the file has %q, %v", data, err)
			}
			if err := os.Remove(held.Name()); err != nil {
				t.Error(err)
			}
			tr.leaves(false, c.status == 0)
		})
	}
}
