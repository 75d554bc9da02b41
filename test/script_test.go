// Package test holds the program to its promises: user stories, each run against the real binary and the fakes of
// [bitbucket-oidc/test/cloud].
//
// A story is a file in script/, in the language of testscript. It starts in the build directory ($WORK/build, mode 0777)
// of a clean step: Bitbucket's variables, HOME and a temporary directory below $WORK, nothing else. The fakes are its own
// and let the default token in. Files of the archive are unpacked in $WORK.
//
//	token
//	env AWS_OIDC_ROLE_ARN=$ROLE
//	exec pipe
//	stdout '^✔ aws default: '
//	leaks
//
// Ready to use: $ROLE, $PROVIDER (a workload identity provider), $SA (a service account), $REPOSITORY, $ENVIRONMENT,
// $WORKSPACE and $STEP (UUIDs with braces), $ISSUER, $AUDIENCE; the addresses of the other services, $VAULT, $OKTA, $OAUTH,
// $JFROG and $DATABRICKS; $TLS_VAULT (the same Vault by https), and for the two with one public host $PROXY, which leads
// there; $CA, the authority of both; $IAM_AWS and $GCP_IAM, the reads of IAM. The commands beyond testscript's own:
//
//	token [NAME=VALUE]…        mint a token into BITBUCKET_STEP_OIDC_TOKEN. env makes a deployment step; aud=X adds an
//	                           audience; expired=10m, expires=2m move the end of its life; bad-signature spoils it; any
//	                           other NAME sets that claim, to JSON or else a string, or removes it if VALUE is empty
//	status N PROGRAM ARG…      run, and fail unless the exit status is N
//	umask NNN PROGRAM ARG…     run with that umask
//	fault SERVER KIND ARG… [times=N] [on=TEXT] [date=DURATION]
//	                           fail the server's next requests. With date= the answer is dated by a clock that is ahead by
//	                           as much, or behind. SERVER is aws, ecr (the same one), gcp (token exchange),
//	                           iam (service account tokens), awsiam and gcpiam (the reads of IAM), or a service (below). KIND: status CODE [HEADER:VALUE]…,
//	                           error CODE NAME MESSAGE (in the server's own shape), answer CODE FILE, hang, hangup,
//	                           truncate, html, oversize, redirect URL, echo CODE, echo-behind CODE, pass. With on=, those of
//	                           them pass whose path does not contain TEXT. A story with a fault that no request met fails at
//	                           its end
//	requests SERVER N [TEXT]   fail unless the server got N requests that contain TEXT (! requests: fail if so). A request
//	                           reads: METHOD PATH OPERATION authorization=SCHEME region=REGION by=PRINCIPAL PARAMETER=VALUE…
//	await SERVER N [TEXT]      wait for that many requests at least, for a program in the background
//	role NAME [max=12h] [account=N] [aud=X] [sub=PATTERN] [from=ROLE [external-id=X]] [allow=ACTION,…]
//	                           an AWS role, by name or ARN: open to the repository's tokens, or with from= to a role.
//	                           policy=FILE is what IAM shows instead of that; may=ACTION,… are the reads of IAM that it may make
//	inventory [page=N] [others=N] [pool-disabled]
//	                           what whoever reads the clouds sees: at most N items a page, N more roles in each AWS account,
//	                           Google's pools disabled
//	provider aws [account=N] [aud=X]… [gone]
//	provider gcp [disabled|deleted] [aud=X]… [condition=CLAIM=VALUE] [subject=CLAIM]
//	                           the identity provider instead of the default one
//	account EMAIL [member=X]… [long]
//	                           a service account: open to the repository, or to those members (an e-mail stands for a
//	                           service account); long allows lifetimes over an hour
//	lifetime aws|gcp DURATION  let credentials last no longer
//	service NAME [OPTION]…     set a service: vault, okta, oauth, jfrog, cloudsmith, databricks or pulumi. For all: aud=X in
//	                           place of the audiences it wants (aud= for none), claim=NAME=VALUE instead of the claims,
//	                           lifetime=15m. vault: role=, mount=, namespace=, subject=. okta: inactive. oauth: grant=,
//	                           client=ID:SECRET, type=URI (of subject tokens), parameter=NAME=VALUE
//	session FILE PROFILE TEXT… fail unless the keys of that profile are of one session of which all of this is true. It
//	                           reads: PRINCIPAL source=IDENTITY policy=JSON policies=ARN,… tag:KEY=VALUE…
//	docker FILE HOST=USER…     fail unless Docker's config.json logs in to exactly these hosts, with passwords that the clouds
//	                           handed out: ECR to AWS, each for the region in its host, Google to oauth2accesstoken
//	pick FROM PATH TO [NAME]   write a part of a JSON file to another file, in an object under NAME if there is one. PATH is
//	                           such as differences/0/witness; kind=wider in it is the first item of a list whose kind is so
//	insights                   start Bitbucket's proxy for Code Insights on its port; later:
//	insights REPORT N TEXT…    fail unless the report has so many annotations, and it or they contain these texts
//	mode FILE 0600             fail unless the file or folder has these permissions
//	records FILE N             fail unless FILE has N lines, each a valid event of OCSF; taken.jsonl is written first: what the
//	                           sink at $SINK took, with $SINK_TOKEN, as a collector, HEC, a receiver of events, or S3
//	leaks                      fail if a secret stands in the output of the last run, or below $WORK in a file that
//	                           may not hold it or that others may read. The end of every story does so as well, for the
//	                           output of all its runs, and for their command lines
//
// The condition [able:PROGRAM] is for what a story cannot do without: whether the program works here, as [able] tries it.
package test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bitbucket-oidc/internal/record/ocsftest"
	"bitbucket-oidc/test/cloud"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the files that scripts compare with")

func TestScripts(t *testing.T) {
	bin := buildRecorder(t)
	issuer, err := cloud.NewIssuer(cloud.WorkspaceIssuerURL(cloud.Workspace))
	if err != nil {
		t.Fatal(err)
	}
	var done searched
	t.Cleanup(func() { done.write(t) })
	testscript.Run(t, testscript.Params{
		Dir:                 "script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Condition:           able,
		Setup:               func(env *testscript.Env) error { return setUp(env, bin, issuer, &done) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"account":   cmdAccount,
			"await":     cmdAwait,
			"docker":    cmdDocker,
			"insights":  cmdInsights,
			"fault":     cmdFault,
			"inventory": cmdInventory,
			"leaks":     cmdLeaks,
			"pick":      cmdPick,
			"lifetime":  cmdLifetime,
			"mode":      cmdMode,
			"provider":  cmdProvider,
			"records":   cmdRecords,
			"requests":  cmdRequests,
			"role":      cmdRole,
			"service":   cmdService,
			"session":   cmdSession,
			"status":    cmdStatus,
			"token":     cmdToken,
			"umask":     cmdUmask,
		},
	})
}

// able is the condition [able:PROGRAM]: this machine lets the program do what stories need of it. That it is installed is not enough: a
// container may allow no namespace and no tracer, or have dropped the capability to drop others, and another program may have its name.
func able(condition string) (bool, error) {
	tries := map[string]string{
		"unshare": "unshare -rm sh -c 'mount --bind . .'",
		// The programs keep their memory, where the names of files are, from everybody without CAP_SYS_PTRACE, which is bit 19.
		"strace":  "strace -qq -o /dev/null true && test $((0x$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) >> 19 & 1)) = 1",
		"setpriv": "test $(id -u) != 0 || setpriv --bounding-set=-all --inh-caps=-all true",
		"flock":   "flock . true",
		"busybox": "busybox ash -c :",
		"git":     "git --version",
	}
	try, known := tries[strings.TrimPrefix(condition, "able:")]
	if !known {
		return false, fmt.Errorf("unknown condition %q", condition)
	}
	return exec.Command("sh", "-c", try).Run() == nil, nil
}

// worldKey finds the script's own world among its values.
type worldKey struct{}

func worldOf(ts *testscript.TestScript) *cloud.World { return ts.Value(worldKey{}).(*cloud.World) }

// othersKey finds the script's own services beside AWS and Google.
type othersKey struct{}

func othersOf(ts *testscript.TestScript) *cloud.Others { return ts.Value(othersKey{}).(*cloud.Others) }

// faultsKey finds the script's own faults.
type faultsKey struct{}

// A fault is one of a script's, and whether a request met it.
type fault struct {
	line string // as it stands in the script
	met  atomic.Bool
}

// unmet is an error if no request met one of the faults: the story would be another than it says.
func unmet(faults []*fault) error {
	var errs []error
	for _, f := range faults {
		if !f.met.Load() {
			errs = append(errs, fmt.Errorf("no request met %q", f.line))
		}
	}
	return errors.Join(errs...)
}

// setUp makes a step and a world for one script. The issuer's key is shared, as making one takes longer than most scripts.
func setUp(env *testscript.Env, bin string, issuer *cloud.Issuer, done *searched) error {
	world, err := cloud.Start(issuer.At(issuer.URL()))
	if err != nil {
		return err
	}
	env.Defer(world.Close)
	env.Values[worldKey{}] = world
	others, err := cloud.StartOthers(world.Issuer)
	if err != nil {
		return err
	}
	env.Defer(others.Close)
	env.Values[othersKey{}] = others
	var faults []*fault
	env.Values[faultsKey{}] = &faults
	env.Values[insightsKey{}] = new(*cloud.Insights)
	record, err := startRecording()
	if err != nil {
		return err
	}
	authority := filepath.Join(env.WorkDir, "ca.pem")
	if err := os.WriteFile(authority, others.Gateway.Authority, 0o644); err != nil {
		return err
	}

	home, clone := filepath.Join(env.WorkDir, "home"), filepath.Join(env.WorkDir, "build")
	env.Defer(func() {
		story := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
		secrets := append(world.Secrets(), others.Secrets()...)
		if err := errors.Join(unmet(faults), record.end(story, secrets), world.Sink.CheckSeen(secrets), cloud.CheckTree(env.WorkDir, clone, secrets)); err != nil {
			env.T().Log("at the end of the story: ", err)
			env.T().FailNow()
		}
		done.add(record, secrets)
	})
	for _, dir := range []string{home, clone} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.Chmod(clone, 0o777); err != nil { // as Bitbucket does, whatever the umask
		return err
	}
	env.Cd = clone
	env.Vars = []string{
		"WORK=" + env.WorkDir,
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + home,
		"TMPDIR=" + env.Getenv("TMPDIR"),
		"RECORDER=" + record.listener.Addr().String(),

		"CI=true",
		"BITBUCKET_BRANCH=main",
		"BITBUCKET_BUILD_NUMBER=42",
		"BITBUCKET_CLONE_DIR=" + clone,
		"BITBUCKET_COMMIT=3f1c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4",
		"BITBUCKET_PIPELINE_UUID=" + cloud.PipelineUUID,
		"BITBUCKET_REPO_FULL_NAME=" + cloud.Workspace + "/shop",
		"BITBUCKET_REPO_OWNER=" + cloud.Workspace,
		"BITBUCKET_REPO_SLUG=shop",
		"BITBUCKET_REPO_UUID=" + cloud.RepositoryUUID,
		"BITBUCKET_STEP_RUN_NUMBER=1",
		"BITBUCKET_STEP_UUID=" + cloud.StepUUID,
		"BITBUCKET_WORKSPACE=" + cloud.Workspace,

		"ROLE=" + cloud.RoleARN,
		"PROVIDER=" + cloud.ProviderName,
		"SA=" + cloud.ServiceAccountEmail,
		"REPOSITORY=" + cloud.RepositoryUUID,
		"ENVIRONMENT=" + cloud.EnvironmentUUID,
		"WORKSPACE=" + cloud.WorkspaceUUID,
		"STEP=" + cloud.StepUUID,
		"ISSUER=" + issuer.URL(),
		"AUDIENCE=" + cloud.DefaultStep().WorkspaceAudience(),

		"VAULT=" + others.Servers["vault"].URL,
		"OKTA=" + others.Servers["okta"].URL,
		"OAUTH=" + others.Servers["oauth"].URL,
		"JFROG=" + others.Servers["jfrog"].URL,
		"DATABRICKS=" + others.Servers["databricks"].URL,
		"TLS_VAULT=" + others.Gateway.URL,
		"PROXY=" + others.Gateway.Proxy,
		"CA=" + authority,
		"IAM_AWS=" + world.IAM.URL,
		"GCP_IAM=" + world.GoogleIAM.URL,
		"SINK=" + world.SinkServer.URL,
		"SINK_TOKEN=" + world.Sink.Authorization,
	}
	env.Vars = append(env.Vars, world.Endpoints()...)
	return nil
}

func cmdToken(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "token")
	world, step, spoil := worldOf(ts), cloud.DefaultStep(), false
	claims := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "env":
			step.EnvironmentUUID = cloud.EnvironmentUUID
			ts.Setenv("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production")
			ts.Setenv("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID", cloud.EnvironmentUUID)
		case "aud":
			step.Audiences = append(step.Audiences, value)
		case "expired":
			step.Expires = step.Issued.Add(-duration(ts, value))
			step.Issued = step.Expires.Add(-cloud.StepLifetime)
		case "expires":
			step.Expires = step.Issued.Add(duration(ts, value))
		case "bad-signature":
			spoil = true
		default:
			claims[name] = value
		}
	}
	all := step.Claims(world.Issuer.URL())
	for name, value := range claims {
		var decoded any
		switch {
		case value == "":
			delete(all, name)
		case json.Unmarshal([]byte(value), &decoded) == nil:
			all[name] = json.RawMessage(value)
		default:
			all[name] = value
		}
	}
	token := world.Issuer.Sign(all)
	if spoil {
		dot := strings.LastIndex(token, ".")
		token = token[:dot+1] + strings.Repeat("A", len(token)-dot-1)
	}
	ts.Setenv("BITBUCKET_STEP_OIDC_TOKEN", token)
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

func cmdUmask(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: umask NNN PROGRAM ARG…")
	}
	err := ts.Exec("sh", append([]string{"-c", `umask "$0" && exec "$@"`}, args...)...)
	if neg && err == nil {
		ts.Fatalf("unexpected command success")
	}
	if !neg && err != nil {
		ts.Fatalf("%v", err)
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

// awaitLimit is far over what a program needs to send a request.
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

func cmdRole(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "role")
	if len(args) == 0 {
		ts.Fatalf("usage: role NAME [OPTION=VALUE]…")
	}
	world, account := worldOf(ts), cloud.AWSAccount
	role := cloud.Role{}
	trust := cloud.DefaultTrust(world.Issuer)
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "max":
			role.MaxSession = duration(ts, value)
		case "account":
			account = value
		case "aud":
			trust.Audience = value
		case "sub":
			trust.Subject = value
		case "from":
			trust = cloud.Trust{
				Actions: []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"},
				Role:    roleNamed(value, cloud.AWSAccount),
			}
		case "external-id":
			trust.ExternalID = value
		case "allow":
			trust.Actions = strings.Split(value, ",")
		case "policy":
			role.Policy = ts.ReadFile(value)
		case "may":
			role.May = strings.Split(value, ",")
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
	role.ARN = roleNamed(args[0], account)
	role.Trust = []cloud.Trust{trust}
	world.AWS.SetRole(role)
}

func cmdInventory(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "inventory")
	world := worldOf(ts)
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "page":
			n := number(ts, value)
			world.AWS.Configure(func(c *cloud.AWSConfig) { c.IAM.Page = n })
			world.GCP.Configure(func(c *cloud.GCPConfig) { c.Page = n })
		case "others":
			n := number(ts, value)
			world.AWS.Configure(func(c *cloud.AWSConfig) { c.IAM.Others = n })
		case "pool-disabled":
			world.GCP.Configure(func(c *cloud.GCPConfig) { c.PoolDisabled = true })
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
}

// roleNamed is a role's ARN, whether given as such or as a name.
func roleNamed(name, account string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return "arn:aws:iam::" + account + ":role/" + name
}

func cmdProvider(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "provider")
	if len(args) == 0 {
		ts.Fatalf("usage: provider aws|gcp [OPTION]…")
	}
	world := worldOf(ts)
	standard := []string{cloud.DefaultStep().WorkspaceAudience()}
	switch args[0] {
	case "aws":
		provider, gone := cloud.OIDCProvider{Account: cloud.AWSAccount, Issuer: world.Issuer}, false
		for _, arg := range args[1:] {
			name, value, _ := strings.Cut(arg, "=")
			switch name {
			case "account":
				provider.Account = value
			case "aud":
				provider.ClientIDs = append(provider.ClientIDs, value)
			case "gone":
				gone = true
			default:
				ts.Fatalf("no such option: %s", name)
			}
		}
		if provider.ClientIDs == nil {
			provider.ClientIDs = standard
		}
		world.AWS.Configure(func(c *cloud.AWSConfig) {
			c.Providers = slices.DeleteFunc(c.Providers, func(p cloud.OIDCProvider) bool { return p.Account == provider.Account })
			if !gone {
				c.Providers = append(c.Providers, provider)
			}
		})
	case "gcp":
		provider := cloud.WorkloadProvider{Name: cloud.ProviderName, Issuer: world.Issuer, Mapping: cloud.MapRepository}
		for _, arg := range args[1:] {
			name, value, _ := strings.Cut(arg, "=")
			switch name {
			case "disabled":
				provider.State = cloud.ProviderDisabled
			case "deleted":
				provider.State = cloud.ProviderDeleted
			case "aud":
				provider.AllowedAudiences = append(provider.AllowedAudiences, value)
			case "condition":
				claim, want, _ := strings.Cut(value, "=")
				provider.Condition = func(claims map[string]any) bool { return claims[claim] == want }
			case "subject":
				provider.Mapping = func(claims map[string]any) (string, map[string]string) {
					subject, _ := claims[value].(string)
					_, attributes := cloud.MapRepository(claims)
					return subject, attributes
				}
			default:
				ts.Fatalf("no such option: %s", name)
			}
		}
		if provider.AllowedAudiences == nil {
			provider.AllowedAudiences = standard
		}
		world.GCP.Configure(func(c *cloud.GCPConfig) { c.Providers = []cloud.WorkloadProvider{provider} })
	default:
		ts.Fatalf("no such cloud: %s", args[0])
	}
}

func cmdAccount(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "account")
	if len(args) == 0 {
		ts.Fatalf("usage: account EMAIL [OPTION]…")
	}
	account := cloud.ServiceAccount{Email: args[0]}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch {
		case name == "long":
			account.LongLifetimes = true
		case name == "member" && !strings.Contains(value, ":"):
			account.Members = append(account.Members, "serviceAccount:"+value)
		case name == "member":
			account.Members = append(account.Members, value)
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
	if account.Members == nil {
		account.Members = []string{cloud.RepositoryMember}
	}
	worldOf(ts).GCP.SetServiceAccount(account)
}

func cmdLifetime(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "lifetime")
	if len(args) != 2 {
		ts.Fatalf("usage: lifetime aws|gcp DURATION")
	}
	world, lifetime := worldOf(ts), duration(ts, args[1])
	switch args[0] {
	case "aws":
		world.AWS.Configure(func(c *cloud.AWSConfig) { c.Lifetime = lifetime })
	case "gcp":
		world.GCP.Configure(func(c *cloud.GCPConfig) { c.Lifetime = lifetime })
	default:
		ts.Fatalf("no such cloud: %s", args[0])
	}
}

func cmdService(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "service")
	if len(args) == 0 {
		ts.Fatalf("usage: service NAME [OPTION]…")
	}
	others := othersOf(ts)
	switch args[0] {
	case "vault":
		others.Vault.Configure(func(c *cloud.VaultConfig) {
			setService(ts, args[1:], &c.TokenRule, &c.TTL, map[string]func(string){
				"role":      func(v string) { c.Role = v },
				"mount":     func(v string) { c.Mount = v },
				"namespace": func(v string) { c.Namespace = v },
				"subject":   func(v string) { c.BoundSubject = v },
			})
		})
	case "okta":
		others.Okta.Configure(func(c *cloud.OktaConfig) {
			setService(ts, args[1:], &c.TokenRule, &c.TTL, map[string]func(string){"inactive": func(string) { c.Inactive = true }})
		})
	case "oauth":
		others.OAuth.Configure(func(c *cloud.OAuthConfig) {
			setService(ts, args[1:], &c.TokenRule, &c.TTL, map[string]func(string){
				"grant":  func(v string) { c.Grant = v },
				"client": func(v string) { c.ClientID, c.ClientSecret, _ = strings.Cut(v, ":") },
				"type":   func(v string) { c.SubjectTokenTypes = []string{v} },
				"parameter": func(v string) {
					name, value, _ := strings.Cut(v, "=")
					c.Parameters = map[string]string{name: value}
				},
			})
		})
	default:
		service, ok := map[string]*cloud.Service{
			"jfrog": others.JFrog, "cloudsmith": others.Cloudsmith, "databricks": others.Databricks, "pulumi": others.Pulumi,
		}[args[0]]
		if !ok {
			ts.Fatalf("no such service: %s", args[0])
		}
		service.Configure(func(c *cloud.ServiceConfig) { setService(ts, args[1:], &c.TokenRule, &c.TTL, nil) })
	}
}

// setService reads the options that every service has, and hands its own ones over.
func setService(ts *testscript.TestScript, args []string, rule *cloud.TokenRule, ttl *time.Duration, own map[string]func(value string)) {
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "aud":
			rule.Audiences = slices.DeleteFunc([]string{value}, func(aud string) bool { return aud == "" })
		case "claim":
			claim, want, _ := strings.Cut(value, "=")
			rule.Claims = map[string]string{claim: want}
		case "lifetime":
			*ttl = duration(ts, value)
		default:
			set, ok := own[name]
			if !ok {
				ts.Fatalf("no such option: %s", name)
			}
			set(value)
		}
	}
}

func cmdSession(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: session FILE PROFILE TEXT…")
	}
	session, ok := worldOf(ts).AWS.Session(profileKey(ts.ReadFile(args[0]), args[1]))
	if !ok {
		ts.Fatalf("profile %s has no key that AWS handed out", args[1])
	}
	words := []string{
		session.Principal(), "source=" + session.SourceID, "policy=" + session.Policy,
		"policies=" + strings.Join(session.PolicyARNs, ","),
	}
	for key, value := range session.Tags {
		words = append(words, "tag:"+key+"="+value)
	}
	text := strings.Join(words, " ") + " " // so that a blank can end a word
	if holds := !slices.ContainsFunc(args[2:], func(want string) bool { return !strings.Contains(text, want) }); holds == neg {
		ts.Fatalf("profile %s: %s", args[1], text)
	}
}

// profileKey is the access key id of a profile in a credentials file.
func profileKey(file, profile string) string {
	_, section, _ := strings.Cut("\n"+file, "\n["+profile+"]\n")
	section, _, _ = strings.Cut(section, "\n[")
	for line := range strings.Lines(section) {
		if name, value, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "aws_access_key_id" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func cmdDocker(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "docker")
	if len(args) < 1 {
		ts.Fatalf("usage: docker FILE HOST=USER…")
	}
	var file struct {
		Auths map[string]struct{ Auth string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &file))
	var got []string
	for host, entry := range file.Auths {
		login, err := base64.StdEncoding.DecodeString(entry.Auth)
		ts.Check(err)
		user, password, _ := strings.Cut(string(login), ":")
		if !handedOut(worldOf(ts), host, user, password) {
			ts.Fatalf("%s: a password that user %s was not given", host, user)
		}
		got = append(got, host+"="+user)
	}
	want := slices.Sorted(slices.Values(args[1:]))
	if slices.Sort(got); !slices.Equal(got, want) {
		ts.Fatalf("%s logs in to %q", args[0], got)
	}
}

// handedOut reports whether a cloud gave the password to that user for that registry.
func handedOut(world *cloud.World, host, user, password string) bool {
	if user == "AWS" {
		login, ok := world.AWS.RegistryLogin(password)
		if host == "public.ecr.aws" {
			return ok && login.Region == "public"
		}
		return ok && strings.Contains(host, "."+login.Region+".")
	}
	return user == "oauth2accesstoken" && slices.ContainsFunc(world.GCP.Secrets(), func(s cloud.Secret) bool {
		return s.Value == password && (s.Kind == cloud.AccessToken || s.Kind == cloud.FederatedToken)
	})
}

func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode FILE 0600")
	}
	want, err := strconv.ParseUint(args[1], 8, 12)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := info.Mode().Perm(); neg == (got == fs.FileMode(want)) {
		ts.Fatalf("%s has mode %#o", args[0], got)
	}
}

func cmdLeaks(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "leaks")
	if len(args) != 0 {
		ts.Fatalf("usage: leaks")
	}
	secrets := append(worldOf(ts).Secrets(), othersOf(ts).Secrets()...)
	for _, stream := range []string{"stdout", "stderr"} {
		if err := cloud.CheckText(ts.ReadFile(stream), secrets); err != nil {
			ts.Fatalf("%s: %v", stream, err)
		}
	}
	ts.Check(cloud.CheckTree(ts.Getenv("WORK"), ts.Getenv("BITBUCKET_CLONE_DIR"), secrets))
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

// affirm refuses a ! in front of a command that has no opposite.
func affirm(ts *testscript.TestScript, neg bool, command string) {
	if neg {
		ts.Fatalf("unsupported: ! %s", command)
	}
}

func duration(ts *testscript.TestScript, text string) time.Duration {
	d, err := time.ParseDuration(text)
	ts.Check(err)
	return d
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}
