package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"bitbucket-oidc/internal/advisor"
	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/test/program"
)

// The tables of variables are written from the program's own list. `make docs` runs these tests with -generate.
var generate = flag.Bool("generate", false, "rewrite what is generated in the pages")

// generated compares the part of a page between two lines with what it should be, or rewrites it.
func generated(t *testing.T, page, begins, ends, want string) {
	t.Helper()
	text := docPage(t, page)
	before, rest, begun := strings.Cut(text, begins+"\n")
	got, after, ended := strings.Cut(rest, ends)
	if !begun || !ended {
		t.Fatalf("%s has no %q with %q after it", page, begins, ends)
	}
	switch {
	case got == want:
	case *generate:
		if err := os.WriteFile(filepath.Join(checkout, page), []byte(before+begins+"\n"+want+ends+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is stale below %q: run make docs", page, begins)
	}
}

// variableTable has a row for each variable, with the program's own text.
func variableTable(all []config.Variable) string {
	var b strings.Builder
	b.WriteString("| Variable | Usage |\n|---|---|\n")
	for _, v := range all {
		marks := ""
		if v.Main {
			marks = " (*)"
		}
		if v.Context {
			marks += " (**)"
		}
		fmt.Fprintf(&b, "| `%s`%s | %s |\n", v.Name, marks, v.Documentation())
	}
	return b.String()
}

// TestStaleVariables: each table below a marker has the group's variables.
func TestStaleVariables(t *testing.T) {
	for _, g := range append(backends.Variables(), advisor.LiveVariables()) {
		generated(t, "docs/variables.md", "<!-- variables of "+g.Name+": written by make docs -->", "<!-- end -->", variableTable(g.Variables))
	}
}

// TestStaleREADME: the README has the variables that most steps need.
func TestStaleREADME(t *testing.T) {
	var most []config.Variable
	for _, name := range []string{
		"AWS_OIDC_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_OIDC_ROLES", "AWS_SESSION_DURATION", "AWS_ALLOWED_ACCOUNTS",
		"GCP_WORKLOAD_IDENTITY_PROVIDER", "GCP_SERVICE_ACCOUNT", "GCP_PROJECT", "VAULT_ADDR", "VAULT_ROLE",
		"MINIMUM_LIFETIME", "GUARD_FILE", "RECORD_FILE", "COMMAND", "ARGUMENTS", "DEBUG", "BITBUCKET_STEP_OIDC_TOKEN",
	} {
		i := slices.IndexFunc(variables(), func(v config.Variable) bool { return v.Name == name })
		if i < 0 {
			t.Fatalf("%s is no variable", name)
		}
		most = append(most, variables()[i])
	}
	generated(t, "README.md", "<!-- variables that most steps need: written by make docs -->", "<!-- end -->", variableTable(most))
}

// TestStaleConsole: what a page shows as a command's output is its output. The commands run in docs/samples.
func TestStaleConsole(t *testing.T) {
	bin := t.TempDir()
	if _, err := program.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```console\n(\\$ .*?[^\\\\]\n)(.*?)^```$")
	for _, page := range pages(t) {
		text := docPage(t, page)
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			command := exec.CommandContext(t.Context(), "sh", "-c", strings.TrimPrefix(m[1], "$ "))
			command.Dir = filepath.Join(checkout, "docs", "samples")
			command.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "LC_ALL=C"}
			printed, err := command.CombinedOutput()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || exit != nil && exit.ExitCode() != 1 {
				t.Errorf("%s: %s%v: %s", page, m[1], err, printed)
				continue
			}
			generated(t, page, "```console\n"+strings.TrimSuffix(m[1], "\n"), "```", string(printed))
		}
	}
}

// TestStalePipeYML: Bitbucket passes to the pipe what pipe.yml lists, and by itself only what has a default of the step's own.
func TestStalePipeYML(t *testing.T) {
	var b strings.Builder
	b.WriteString("variables:\n")
	for i, g := range backends.Variables() {
		if i > 0 {
			b.WriteString("\n")
		}
		for _, v := range g.Variables {
			fallback := ""
			if v.Context {
				fallback = "$" + v.Name
			}
			fmt.Fprintf(&b, "  - name: %s\n    default: %q", v.Name, fallback)
			if v.Default != "" {
				b.WriteString(" # unset: " + v.Default)
			}
			b.WriteString("\n")
		}
	}
	generated(t, "pipe.yml", "# What follows is written by make docs.", "# End of what make docs writes.", b.String())
}

// TestStaleFiles: a sample that a page shows whole is the file that the commands of the pages run with.
func TestStaleFiles(t *testing.T) {
	marker := regexp.MustCompile(`<!-- file (samples/\S+\.(\w+)): written by make docs -->`)
	for _, page := range pages(t) {
		for _, m := range marker.FindAllStringSubmatch(docPage(t, page), -1) {
			generated(t, page, m[0], "<!-- end -->", "```"+m[2]+"\n"+docPage(t, "docs/"+m[1])+"```\n")
		}
	}
}

// TestStaleDrift: each kind of difference is in the page about them.
func TestStaleDrift(t *testing.T) {
	var b strings.Builder
	b.WriteString("| Kind | Severity | Finds |\n|---|---|---|\n")
	for _, rule := range drift.Rules() {
		fmt.Fprintf(&b, "| [`%s`](rules/%s.md) | %s | %s |\n", strings.TrimPrefix(rule.Name, "drift-"), rule.Name, severity(rule), rule.Finds)
	}
	generated(t, "docs/access-map.md", "<!-- kinds of differences: written by make docs -->", "<!-- end -->", b.String())
}

// TestVariablesFromTheContext: a workspace variable of another tool reaches no pipe that did not ask for it.
func TestVariablesFromTheContext(t *testing.T) {
	var pipe struct {
		Variables []struct{ Name, Default string }
	}
	if err := yaml.Unmarshal([]byte(docPage(t, "pipe.yml")), &pipe); err != nil {
		t.Fatal(err)
	}
	if len(pipe.Variables) < 60 {
		t.Fatalf("%d variables only", len(pipe.Variables))
	}
	allowed := []string{"AWS_OIDC_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "GCP_WORKLOAD_IDENTITY_PROVIDER", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"}
	for _, v := range pipe.Variables {
		mayBe := strings.HasPrefix(v.Name, "BITBUCKET_") || slices.Contains(allowed, v.Name)
		if want := map[bool]string{true: "$" + v.Name}[mayBe]; v.Default != want {
			t.Errorf("pipe.yml: the default of %s is %q, want %q", v.Name, v.Default, want)
		}
	}
}

// TestVariablesAreSentences: what is said of a variable reads the same in help, in docs/variables.md and in pipe.yml.
func TestVariablesAreSentences(t *testing.T) {
	names := map[string]string{}
	for _, g := range backends.Variables() {
		for _, v := range g.Variables {
			if !regexp.MustCompile("^[A-Z`0-9].*\\.$").MatchString(v.Means) || strings.ContainsAny(v.Means, "|<\n") || strings.Count(v.Means, "`")%2 > 0 {
				t.Errorf("%s: %q is no sentence for a table", v.Name, v.Means)
			}
			if strings.HasPrefix(v.Means, "List of ") != v.List {
				t.Errorf("%s: a list or not? %q", v.Name, v.Means)
			}
			for _, name := range append([]string{v.Name}, v.Peers...) {
				if other, twice := names[name]; twice {
					t.Errorf("%s stands for %s and for %s", name, other, v.Name)
				}
				names[name] = v.Name
			}
		}
	}
}
