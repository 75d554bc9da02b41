package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"bitbucket-oidc/internal/record/ocsftest"
	"bitbucket-oidc/test/cloud"

	"github.com/rogpeppe/go-internal/testscript"
)

// The commands with which a story makes servers fail, and looks at what they were asked.

// faultsKey finds the script's own faults.
type faultsKey struct{}

// A fault is one of a script's, and whether a request met it.
type fault struct {
	line string // as it stands in the script
	met  atomic.Bool
}

// unmet is an error if no request met one of the faults: the story would not be what it says.
func unmet(faults []*fault) error {
	var errs []error
	for _, f := range faults {
		if !f.met.Load() {
			errs = append(errs, fmt.Errorf("no request met %q", f.line))
		}
	}
	return errors.Join(errs...)
}

func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "status")
	if len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARG…")
	}
	want, got := number(ts, args[0]), 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "fault")
	placed := &fault{line: "fault " + strings.Join(args, " ")}
	times, on, ahead := 1, "", time.Duration(0)
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "times":
			times = number(ts, value)
		case "on":
			on = value
		case "date":
			var err error
			ahead, err = time.ParseDuration(value)
			ts.Check(err)
		default:
			return false
		}
		return true
	})
	if len(args) < 2 {
		ts.Fatalf("usage: fault SERVER KIND ARG… [times=N] [on=TEXT] [date=DURATION]")
	}
	target, fail := server(ts, args[0]), faultOf(ts, args[0], args[1], args[2:])
	target.Inject(cloud.Repeat(times, func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		if !strings.Contains(r.URL.Path, on) {
			fake.ServeHTTP(w, r)
			return
		}
		placed.met.Store(true)
		if ahead != 0 {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		}
		fail(w, r, fake)
	})...)
	faults := ts.Value(faultsKey{}).(*[]*fault)
	*faults = append(*faults, placed)
}

func faultOf(ts *testscript.TestScript, name, kind string, args []string) cloud.Fault {
	want := func(n int) {
		if len(args) != n {
			ts.Fatalf("fault %s takes %d arguments", kind, n)
		}
	}
	switch kind {
	case "status":
		if len(args) == 0 {
			ts.Fatalf("fault status takes a code")
		}
		header := http.Header{}
		for _, field := range args[1:] {
			key, value, _ := strings.Cut(field, ":")
			header.Add(key, value)
		}
		return cloud.Answer(number(ts, args[0]), header, "")
	case "error":
		want(3)
		others := othersOf(ts)
		shape, ok := map[string]func(int, string, string) cloud.Fault{
			"aws": cloud.AWSError, "awsiam": cloud.AWSError, "gcpiam": cloud.GoogleError, "ecr": cloud.ECRError, "gcp": cloud.OAuthError, "iam": cloud.GoogleError,
			"vault": cloud.VaultError, "okta": cloud.OktaError, "oauth": cloud.OAuthError,
			"jfrog": others.JFrog.Error, "cloudsmith": others.Cloudsmith.Error, "databricks": others.Databricks.Error,
			"pulumi": others.Pulumi.Error,
		}[name]
		if !ok {
			ts.Fatalf("no error has the shape of %s", name)
		}
		return shape(number(ts, args[0]), args[1], args[2])
	case "answer":
		want(2)
		return cloud.Answer(number(ts, args[0]), nil, ts.ReadFile(args[1]))
	case "redirect":
		want(1)
		return cloud.Redirect(args[0])
	case "echo":
		want(1)
		return cloud.Echo(number(ts, args[0]))
	case "echo-behind":
		want(1)
		return cloud.EchoBehind(number(ts, args[0]))
	}
	want(0)
	switch kind {
	case "hang":
		return cloud.Hang
	case "hangup":
		return cloud.HangUp
	case "truncate":
		return cloud.Truncate
	case "html":
		return cloud.HTML
	case "oversize":
		return cloud.Oversize(64 << 20)
	case "pass":
		return cloud.Pass
	}
	ts.Fatalf("no such fault: %s", kind)
	return nil
}

func cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: requests SERVER N [TEXT]")
	}
	requests := server(ts, args[0]).Requests()
	n, text := number(ts, args[1]), strings.Join(args[2:], " ")
	got := cloud.CountRequests(requests, text)
	if neg == (got == n) {
		for _, r := range requests {
			ts.Logf("%s", r)
		}
		ts.Fatalf("%d requests to %s contain %q", got, args[0], text)
	}
}

func cmdRecords(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "records")
	if len(args) != 2 {
		ts.Fatalf("usage: records FILE N")
	}
	if args[0] == "taken.jsonl" {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), worldOf(ts).Sink.Records(), 0o600))
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(args[0]), "\n"), "\n")
	if lines[0] == "" {
		lines = nil
	}
	if want := number(ts, args[1]); len(lines) != want {
		ts.Fatalf("%d records, want %d", len(lines), want)
	}
	for i, line := range lines {
		for _, problem := range ocsftest.Problems([]byte(line)) {
			ts.Fatalf("record %d: %s", i+1, problem)
		}
	}
}

// awaitLimit is far more than a program needs to send a request.
const awaitLimit = 20 * time.Second

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "await")
	if len(args) < 2 {
		ts.Fatalf("usage: await SERVER N [TEXT]")
	}
	server, n, text := server(ts, args[0]), number(ts, args[1]), strings.Join(args[2:], " ")
	for start := time.Now(); cloud.CountRequests(server.Requests(), text) < n; time.Sleep(time.Millisecond) {
		if time.Since(start) > awaitLimit {
			ts.Fatalf("waited in vain for %d requests to %s", n, args[0])
		}
	}
}

func server(ts *testscript.TestScript, name string) *cloud.Server {
	world := worldOf(ts)
	switch name {
	case "aws", "ecr":
		return world.STS
	case "gcp":
		return world.GoogleSTS
	case "iam":
		return world.IAMCredentials
	case "awsiam":
		return world.IAM
	case "gcpiam":
		return world.GoogleIAM
	case "sink":
		return world.SinkServer
	case "insights":
		return insightsOf(ts).Server
	}
	service, ok := othersOf(ts).Servers[name]
	if !ok {
		ts.Fatalf("no such server: %s", name)
	}
	return service
}
