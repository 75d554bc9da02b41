package peers

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMultitool lets Microsoft's validator read a report, with its rules for SARIF, GitHub and Azure DevOps. GHAzDO1019 and GHAzDO1020 want
// the ids of an Azure build.
func TestMultitool(t *testing.T) {
	const name = "sarif-multitool"
	validator, err := multitool()
	if err != nil {
		verdicts.skip(t, name, err.Error())
	}
	verdicts.ran(name)
	dir := t.TempDir()
	const pipeline = `pipelines:
  pull-requests:
    '**':
      - step:
          oidc: true
          script:
            - 'printenv BITBUCKET_STEP_OIDC_TOKEN # [a](https://example.com)'
`
	if err := os.WriteFile(filepath.Join(dir, "bitbucket-pipelines.yml"), []byte(pipeline), 0o644); err != nil {
		t.Fatal(err)
	}
	audit := exec.CommandContext(
		t.Context(), filepath.Join(filepath.Dir(pipe), "bitbucket-oidc"), "audit", "--no-exit-code", "--format", "sarif",
		"--output", "report.sarif",
	)
	audit.Dir = dir
	audit.Env = append(os.Environ(), "BITBUCKET_WORKSPACE=acme", "BITBUCKET_REPO_SLUG=shop", "BITBUCKET_COMMIT=3f1c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4")
	if err := quietly(audit); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readerLimit)
	defer cancel()
	validate := exec.CommandContext(
		ctx, validator, "validate", "report.sarif", "--rule-kind", "Sarif;Gh;Ado", "--level", "Error;Warning", "--output",
		"result.sarif", "--log", "ForceOverwrite",
	)
	validate.Dir = dir
	out, _ := validate.CombinedOutput() // the exit status counts the two rules that are left out
	if !strings.Contains(string(out), "1 files scanned") {
		t.Fatalf("the validator did not read the report:\n%s", out)
	}
	for _, m := range regexp.MustCompile(`(?m)^.*: (?:error|warning) (\w+): .*$`).FindAllStringSubmatch(string(out), -1) {
		if m[1] != "GHAzDO1019" && m[1] != "GHAzDO1020" {
			t.Error(m[0])
		}
	}
}

// multitool installs the validator. The program itself is called: its wrapper hands the semicolons of an argument to a shell.
func multitool() (string, error) {
	lock, err := os.ReadFile(script("sarif/package-lock.json"))
	if err != nil {
		return "", err
	}
	dir, err := cached(fmt.Sprintf("sarif-%.8x", sha256.Sum256(lock)), func(dir string) error {
		if err := os.CopyFS(dir, os.DirFS(script("sarif"))); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), readerLimit)
		defer cancel()
		install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = dir
		return quietly(install)
	})
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, "node_modules/@microsoft/sarif-multitool-*/Sarif.Multitool"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no program for this machine: %w", os.ErrNotExist)
	}
	return found[0], os.Chmod(found[0], 0o755) //nolint:gosec // npm leaves it to an install script
}
