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
//	session FILE PROFILE TEXT… fail unless the keys of that profile are of one session with all of these texts. A session
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
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
