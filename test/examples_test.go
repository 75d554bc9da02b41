package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/test/cloud"
)

func TestDocsExamplesParse(t *testing.T) {
	for _, name := range []string{"bitbucket-pipelines.yml", "pipe.yml"} {
		if err := wellFormed([]byte(docPage(t, name)), &yaml.Node{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range pages(t) {
		examplesParse(t, name)
	}
}

// languages are those that a code block may name. The blocks of the others than the first four are for reading.
var languages = []string{"json", "yaml", "sh", "console", "text", "diff", "hcl", "dockerfile", "toml"}

func examplesParse(t *testing.T, name string) {
	page := docPage(t, name)
	inside := false
	for line := range strings.Lines(page) {
		if language, fence := strings.CutPrefix(strings.TrimSpace(line), "```"); fence {
			if inside = !inside; inside && !slices.Contains(languages, language) {
				t.Errorf("%s: a code block is in %q, which is none of %v", name, language, languages)
			}
		}
	}
	for _, block := range codeBlocks(page, "json") {
		if !json.Valid([]byte(block)) {
			t.Errorf("%s: not JSON:%s", name, block)
		}
	}
	for _, block := range codeBlocks(page, "yaml") {
		if strings.HasPrefix(name, rulesFolder) {
			break // files with mistakes on purpose: the tests of the rules read each of them
		}
		var root yaml.Node
		if err := wellFormed([]byte(block), &root); err != nil {
			t.Errorf("%s: %v:%s", name, err, block)
		} else if err := pipeCalls(&root); err != nil {
			t.Errorf("%s: %v:%s", name, err, block)
		}
	}
	for _, block := range codeBlocks(page, "sh") {
		sh := exec.CommandContext(t.Context(), "sh", "-n")
		sh.Stdin = strings.NewReader(block)
		if said, err := sh.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s:%s", name, err, said, block)
		}
	}
}

// wellFormed reads one document, and finds what only its values can show, such as a key that stands twice.
func wellFormed(data []byte, root *yaml.Node) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(root); err != nil {
		return err
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	var value any
	return root.Decode(&value)
}

var ourPipe = regexp.MustCompile(`/bitbucket-oidc(:|@|$)`)

// pipeCalls checks that each call of the pipe gives it variables that it knows, as strings or lists of strings: Bitbucket takes
// nothing else.
func pipeCalls(n *yaml.Node) error {
	var call struct {
		Pipe      string
		Variables map[string]yaml.Node
	}
	if n.Kind == yaml.MappingNode && n.Decode(&call) == nil && ourPipe.MatchString(call.Pipe) {
		for name, value := range call.Variables {
			i := slices.IndexFunc(variables(), func(v config.Variable) bool { return v.Name == name })
			switch {
			case i < 0:
				return fmt.Errorf("the pipe has no variable %s", name)
			case value.Kind == yaml.SequenceNode && variables()[i].List:
				if !slices.ContainsFunc(value.Content, func(item *yaml.Node) bool { return item.Tag != "!!str" }) {
					continue
				}
			case value.Tag == "!!str":
				continue
			}
			return fmt.Errorf("%s is neither a string nor a list of strings", name)
		}
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && slices.Contains([]string{"script", "after-script"}, n.Content[i-1].Value) {
			if err := scriptItems(child); err != nil {
				return err
			}
		}
		if err := pipeCalls(child); err != nil {
			return err
		}
	}
	return nil
}

// scriptItems checks that each item of a script is a command, a pipe or an agent: a colon in a command makes it a mapping.
func scriptItems(script *yaml.Node) error {
	for _, item := range script.Content {
		if item.Kind == yaml.MappingNode && !slices.Contains([]string{"pipe", "agent"}, item.Content[0].Value) || item.Kind == yaml.SequenceNode {
			return fmt.Errorf("line %d: neither a command nor a pipe nor an agent", item.Line)
		}
	}
	return nil
}

// cloudCommand notes how it was called, one argument a line and an empty line at the end, and answers the one question that
// the commands ask.
const cloudCommand = `#!/bin/sh
{ printf '%s\n' "${0##*/}" "$@"; echo; } >> "$CALLS"
case "$*" in "projects describe"*) echo 210987654321 ;; esac
`

// What a reader pastes from the pages about AWS and Google Cloud, and from Troubleshooting, must tell the clouds, braces and quotes
// and all, what the program holds to be the trust configuration of the step.
func TestDocsCommandsAreWhatTheProgramPrints(t *testing.T) {
	all := codeBlocks(docPage(t, "docs/aws.md")+docPage(t, "docs/google-cloud.md")+docPage(t, troubleshooting), "sh")
	narrows := func(b string) bool { return strings.Contains(b, "ENVIRONMENT_UUID=") }
	if !slices.ContainsFunc(all, narrows) {
		t.Fatal("no block sets ENVIRONMENT_UUID")
	}
	step := cloud.DefaultStep()
	t.Run("repository", func(t *testing.T) { pasteCommands(t, step, slices.DeleteFunc(slices.Clone(all), narrows)) })
	step.EnvironmentUUID = cloud.EnvironmentUUID
	t.Run("environment", func(t *testing.T) { pasteCommands(t, step, all) })
}

func pasteCommands(t *testing.T, step cloud.Step, commands []string) {
	dir := t.TempDir()
	for _, name := range []string{"aws", "gcloud"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(cloudCommand), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sh := exec.Command("sh", "-euc", strings.Join(commands, "\n"))
	sh.Dir = dir
	sh.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+filepath.Join(dir, "calls"))
	printed, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	called, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	claims := oidc.Claims{
		Issuer: cloud.WorkspaceIssuerURL(cloud.Workspace), Audience: []string{step.WorkspaceAudience()}, Subject: step.Subject(),
		RepositoryUUID: step.RepositoryUUID, DeploymentEnvironmentUUID: step.EnvironmentUUID,
	}
	provider := []string{
		"--issuer-uri=" + claims.Issuer,
		"--allowed-audiences=" + bitbucket.WorkspaceAudience(claims),
		"--attribute-mapping=" + setup.GCPMapping(),
		"--attribute-condition=" + setup.GCPCondition(claims),
	}
	calls := strings.Split(string(called), "\n\n")
	for command, want := range map[string][]string{
		"create-open-id-connect-provider": {claims.Issuer, bitbucket.WorkspaceAudience(claims)},
		"create-oidc":                     provider,
		"update-oidc":                     provider,
		"add-iam-policy-binding":          {cloud.ServiceAccountEmail, "--member=" + setup.GCPMember(claims, "210987654321", "pipelines")},
	} {
		i := slices.IndexFunc(calls, func(call string) bool { return slices.Contains(strings.Split(call, "\n"), command) })
		if i < 0 {
			t.Errorf("nothing calls %s", command)
			continue
		}
		for _, argument := range want {
			if !slices.Contains(strings.Split(calls[i], "\n"), argument) {
				t.Errorf("%s lacks the argument\n%s\nin\n%s", command, argument, calls[i])
			}
		}
	}
	for _, variable := range []string{
		"GCP_WORKLOAD_IDENTITY_PROVIDER: " + cloud.ProviderName,
		"GCP_SERVICE_ACCOUNT: " + cloud.ServiceAccountEmail,
	} {
		if !slices.Contains(strings.Split(string(printed), "\n"), variable) {
			t.Errorf("the commands do not print\n%s\nbut\n%s", variable, printed)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "trust.json"))
	if err != nil {
		t.Fatal(err)
	}
	var policy struct{ Statement []any }
	var want any
	if err := errors.Join(json.Unmarshal(data, &policy), json.Unmarshal([]byte(setup.AWSStatement(claims, "aws", cloud.AWSAccount)), &want)); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if len(policy.Statement) != 1 || !reflect.DeepEqual(policy.Statement[0], want) {
		t.Errorf("trust.json is\n%s\nand the program prints\n%s", data, setup.AWSStatement(claims, "aws", cloud.AWSAccount))
	}
}

// TestDocsDiffsAreReal: a line that CONTRIBUTING.md shows as added to a file is in that file.
func TestDocsDiffsAreReal(t *testing.T) {
	checked := 0
	for _, block := range codeBlocks(docPage(t, "CONTRIBUTING.md"), "diff") {
		file, name := "", ""
		for line := range strings.Lines(block) {
			line = strings.TrimSuffix(line, "\n")
			if path := strings.TrimPrefix(line, " "); strings.HasPrefix(path, "internal/") {
				file, name = docPage(t, path), path
			}
			added, ok := strings.CutPrefix(line, "+")
			if !ok || strings.Contains(added, "…") { // something is left out
				continue
			}
			if checked++; !strings.Contains(file, added+"\n") {
				t.Errorf("CONTRIBUTING.md: %s has no line\n%s", name, added)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d lines are looked at", checked)
	}
}
