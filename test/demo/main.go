// Command demo shows both programs without an account at any cloud, on six screens: a login to two clouds, one that is refused, who
// gets in through a trust policy, the audit of a pull request, a guardrail and the record of its refusal, and drift.
//
// The programs are the real ones, started as Bitbucket would; issuer, AWS and Google are fakes on loopback. The demo checks
// what it shows and fails if anything differs from what it promises.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

// timeout is for the story alone: the programs are built first, which takes minutes on a slow machine with an empty build cache.
const timeout = 60 * time.Second

// written is what a login with AWS and Google leaves behind.
var written = []string{
	".gitignore", "env.sh", "summary.json", "aws/credentials", "aws/config",
	"gcp/credentials.json", "gcp/subject-token", "gcp/access-token", "gcp/boto",
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	dir, err := os.MkdirTemp("", "bitbucket-oidc-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stage := &screen{Writer: out}
	d := demo{out: stage, clone: filepath.Join(dir, "build")}
	if err := os.Mkdir(d.clone, 0o700); err != nil {
		return err
	}
	if d.pipe, err = program.Build(context.Background(), dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	if d.world, err = cloud.StartWorld(); err != nil {
		return err
	}
	defer d.world.Close()
	d.token = d.world.Issuer.Token(cloud.DefaultStep())

	if err := os.CopyFS(d.clone, files()); err != nil {
		return err
	}
	type parts = []func(context.Context) error
	acts := []act{
		{"a login to both clouds", parts{d.login, d.files, d.use}},
		{"a login that AWS refuses, with the text to paste", parts{d.refusal}},
		{"who gets in through a trust policy", parts{d.whoGetsIn}},
		{"the audit of a pull request", parts{d.audit}},
		{"a guardrail refuses before anything is sent, and its record", parts{d.guardrail, d.evidence}},
		{"drift: who gets in and should not", parts{d.drift}},
	}
	for i, a := range acts {
		if err := stage.show(ctx, i+1, len(acts), a); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "Open the page that audit wrote: "+d.page)
	return nil
}

// A demo is one step in a fresh build directory.
type demo struct {
	out   io.Writer
	world *cloud.World
	pipe  string // the program; bitbucket-oidc lies beside it
	clone string // the build directory
	token string
	page  string // what the audit wrote

	requestID string // of what AWS handed out under the guardrail
}

// login is the main job: both clouds, with variables only.
func (d *demo) login(ctx context.Context) error {
	variables := []string{
		"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN,
		"AWS_DEFAULT_REGION=eu-west-1",
		"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName,
		"GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail,
	}
	said, err := d.runPipe(ctx, variables)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	for _, want := range []string{
		"✔ aws default: arn:aws:sts::123456789012:assumed-role/deploy/bitbucket-shop-42 until ",
		"✔ gcp default: " + cloud.ServiceAccountEmail + " until ",
	} {
		if !strings.Contains(said, want) {
			return fmt.Errorf("login did not print %q", want)
		}
	}
	for _, server := range []*cloud.Server{d.world.STS, d.world.GoogleSTS, d.world.IAMCredentials} {
		if n := len(server.Requests()); n != 1 {
			return fmt.Errorf("login sent %d requests where one is enough: %v", n, server.Requests())
		}
	}
	return nil
}

// mostVariables are shown of those that env.sh sets.
const mostVariables = 8

// files lists what login wrote, and checks that nobody else can read it.
func (d *demo) files(context.Context) error {
	fmt.Fprintln(d.out, "+ ls .bitbucket-oidc")
	for _, name := range written {
		info, err := os.Stat(filepath.Join(d.clone, ".bitbucket-oidc", name))
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%v %5d %s\n", info.Mode(), info.Size(), name)
		if info.Mode() != 0o600 {
			return fmt.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	fmt.Fprintln(d.out)
	return nil
}

// use is what a user's next line does, and what it gives to every command after it.
func (d *demo) use(ctx context.Context) error {
	const script = ". .bitbucket-oidc/env.sh"
	fmt.Fprintln(d.out, "+", script)
	before := []string{"PATH=" + os.Getenv("PATH"), "PWD=" + d.clone}
	shell := exec.CommandContext(ctx, "sh", "-euc", script+"; env")
	shell.Dir, shell.Env = d.clone, before
	output, err := shell.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	set := map[string]string{}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	slices.Sort(lines)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		if slices.Contains(before, line) || slices.Contains([]string{"_", "OLDPWD", "SHLVL"}, name) {
			continue
		}
		set[name] = value
		if len(set) <= mostVariables {
			fmt.Fprintln(d.out, d.readable(line))
		}
	}
	fmt.Fprintf(d.out, "… and %d more variables, for older tools and for Google Cloud\n", len(set)-mostVariables)
	if set["AWS_PROFILE"] != "default" || set["CLOUDSDK_CORE_PROJECT"] != "my-project" {
		return errors.New("env.sh did not sign the shell in")
	}
	for _, name := range []string{"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "BOTO_CONFIG"} {
		if _, err := os.Stat(set[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return d.secretFree(string(output))
}

// refusal is a login that AWS turns down: what went wrong, what to change, and nothing lost.
func (d *demo) refusal(ctx context.Context) error {
	summary := filepath.Join(d.clone, ".bitbucket-oidc", "summary.json")
	before, err := os.ReadFile(summary)
	if err != nil {
		return err
	}
	said, err := d.runPipe(ctx, []string{"AWS_OIDC_ROLE_ARN=arn:aws:iam::123456789012:role/production"})
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return fmt.Errorf("refused login: %v, want exit status 1", err)
	}
	if !strings.Contains(said, "✖ aws default: ") || !strings.Contains(said, "\nhint: ") {
		return errors.New("refused login: no ✖ line or no hint")
	}
	if after, err := os.ReadFile(summary); err != nil || !bytes.Equal(before, after) {
		return errors.New("refused login: what the earlier login wrote did not stay")
	}
	fmt.Fprintln(d.out, "exit status 1; what the first login wrote is still there")
	return nil
}

// runPipe runs the program as Bitbucket would, prints what a log would show, and gives it back.
func (d *demo) runPipe(ctx context.Context, variables []string) (said string, err error) {
	fmt.Fprintln(d.out, "+ pipe: docker://ACCOUNT/bitbucket-oidc")
	for _, variable := range variables {
		fmt.Fprintln(d.out, "   ", strings.Replace(variable, "=", ": ", 1))
	}
	pipe := exec.CommandContext(ctx, d.pipe)
	pipe.Dir = d.clone
	pipe.Env = slices.Concat([]string{
		"BITBUCKET_STEP_OIDC_TOKEN=" + d.token,
		"BITBUCKET_CLONE_DIR=" + d.clone,
		"BITBUCKET_WORKSPACE=" + cloud.Workspace,
		"BITBUCKET_REPO_SLUG=shop",
		"BITBUCKET_BUILD_NUMBER=42",
	}, d.world.Endpoints(), variables)
	output, err := pipe.CombinedOutput()
	fmt.Fprintln(d.out, d.readable(string(output)))
	if leak := d.secretFree(string(output)); leak != nil {
		return "", leak
	}
	return string(output), err
}

// readable has the build directory by its name, in place of this machine's temporary directory.
func (d *demo) readable(text string) string {
	return strings.ReplaceAll(text, d.clone, "$BITBUCKET_CLONE_DIR")
}

// secretFree fails if the text shows anything that a cloud or Bitbucket handed out.
func (d *demo) secretFree(text string) error {
	for _, secret := range d.world.Secrets() {
		if strings.Contains(text, secret.Value) {
			return fmt.Errorf("a secret was printed: %v", secret)
		}
	}
	return nil
}
