package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

// TestCrash: a crash does not leave the memory in the build directory, and its trace shows no secret, although the machine
// allows cores of any size and Go is told to print everything.
func TestCrash(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("where other systems leave cores is theirs to say")
	}
	if err := leavesCore(t); err != nil {
		t.Skipf("this machine leaves no cores in the working directory: %v", err)
	}
	bin, err := program.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := cloud.NewIssuer(cloud.WorkspaceIssuerURL(cloud.Workspace))
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGSEGV} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			world, err := cloud.Start(issuer.At(issuer.URL()))
			if err != nil {
				t.Fatal(err)
			}
			defer world.Close()
			// A program that asks for its second credential has the first one: AWS's keys, and Google's federated token.
			world.STS.Inject(cloud.Pass, cloud.Hang)
			world.IAMCredentials.Inject(cloud.Hang)

			clone := t.TempDir()
			cmd := withCores(t, bin)
			cmd.Dir = clone
			cmd.Env = append([]string{
				"GOTRACEBACK=crash",
				"BITBUCKET_CLONE_DIR=" + clone,
				"BITBUCKET_STEP_OIDC_TOKEN=" + issuer.Token(cloud.DefaultStep()),
				"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_SESSION_NAME=crash", "AWS_CHAIN_ROLE_ARNS=" + cloud.RoleARN,
				"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName, "GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail,
			}, world.Endpoints()...)
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			for len(world.STS.Requests()) < 2 || len(world.IAMCredentials.Requests()) < 1 {
				select {
				case err := <-ended: // by TIMEOUT at the latest
					t.Fatalf("it ended before its last requests: %v\n%s", err, output.String())
				case <-time.After(time.Millisecond):
				}
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			<-ended

			secrets := world.Secrets()
			if !strings.Contains(output.String(), "goroutine ") {
				t.Errorf("no trace:\n%s", output.String())
			}
			if err := cloud.CheckText(output.String(), secrets); err != nil {
				t.Error("the trace: ", err)
			}
			left, err := filepath.Glob(filepath.Join(clone, "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("it left %q (%v)", left, err)
			}
			if err := cloud.CheckTree(clone, clone, secrets); err != nil {
				t.Error(err)
			}
		})
	}
}

// withCores is a command that may leave a core of any size.
func withCores(t *testing.T, line ...string) *exec.Cmd {
	return exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -c unlimited && exec "$@"`, "sh"}, line...)...)
}

// leavesCore fails unless a program that crashes here leaves a core in its working directory.
func leavesCore(t *testing.T) error {
	cmd := withCores(t, "sh", "-c", "kill -SEGV $$")
	cmd.Dir = t.TempDir()
	out, _ := cmd.CombinedOutput()
	if cores, _ := filepath.Glob(filepath.Join(cmd.Dir, "core*")); len(cores) > 0 {
		return nil
	}
	pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
	return fmt.Errorf("core_pattern is %q, and the shell says %q", pattern, out)
}
