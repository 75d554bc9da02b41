package peers

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/xeipuuv/gojsonschema"

	"bitbucket-oidc/test/cloud"
)

// identity are the flags that name the identity of explain and check.
func identity() []string {
	return []string{"--workspace", cloud.Workspace, "--workspace-uuid", cloud.WorkspaceUUID, "--repository-uuid", cloud.RepositoryUUID}
}

// TestSARIF compares check's SARIF with the schema.
func TestSARIF(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	explained, err := exec.Command(pipe, append([]string{"explain", "--format", "json"}, identity()...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		AWS struct{ TrustPolicy json.RawMessage }
	}
	if err := json.Unmarshal(explained, &e); err != nil {
		t.Fatal(err)
	}
	good := string(e.AWS.TrustPolicy)
	args := append([]string{"check", "--format", "sarif"}, identity()...)
	for name, policy := range map[string]string{
		"good.json":      good,
		"bad ü&%41.json": strings.ReplaceAll(good, "}:*", "}*"), // a file's name is no URI
		"nobody.json":    `{"Version": "2012-10-17", "Statement": []}`,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	check := exec.Command(pipe, args...)
	out, _ := check.Output()
	if check.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v: %s", check.ProcessState, out)
	}
	result, err := gojsonschema.Validate(gojsonschema.NewStringLoader(sarifSchema(t)), gojsonschema.NewBytesLoader(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range result.Errors() {
		t.Errorf("%v", problem)
	}
	var log struct{ Runs []struct{ Results []any } }
	if err := json.Unmarshal(out, &log); err != nil || len(log.Runs) != 1 || len(log.Runs[0].Results) < 2 {
		t.Errorf("%v: too few results:\n%s", err, out)
	}
}

// sarifSchema is the schema of OASIS. go-sarif has it in a constant, and holds to it only what it wrote itself.
func sarifSchema(t *testing.T) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", reflect.TypeFor[sarif.Report]().PkgPath()).Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var schema string
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && schema == "" {
			schema, err = strconv.Unquote(lit.Value)
		}
		return err == nil
	})
	if err != nil || schema == "" {
		t.Fatalf("no schema: %v", err)
	}
	return schema
}

// TestTerraform lets Terraform read what explain prints for it. fmt needs no provider, and refuses what does not parse.
func TestTerraform(t *testing.T) {
	t.Parallel()
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		verdicts.skip(t, "terraform fmt", err.Error())
	}
	verdicts.ran("terraform fmt")
	for _, more := range [][]string{nil, {"--environment-uuid", cloud.EnvironmentUUID, "--audience", "https://a.example", "--aws-account", cloud.AWSAccount}} {
		out, err := exec.Command(pipe, append(append([]string{"explain", "--format", "terraform"}, identity()...), more...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		format := exec.Command(terraform, "fmt", "-check", "-diff", "-")
		format.Stdin = bytes.NewReader(out)
		if diff, err := format.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}
