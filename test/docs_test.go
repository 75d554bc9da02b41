package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/gcp"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/oauth"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/okta"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/vault"
	"bitbucket-oidc/test/cloud"
)

// Users read the README and docs, Bitbucket reads pipe.yml. These tests hold them to the code.

const checkout = ".."

func docPage(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(checkout, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// pages are all that a reader of the repository or of the image can open.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
	err := filepath.WalkDir(filepath.Join(checkout, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			all = append(all, strings.TrimPrefix(path, checkout+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var codeFence = regexp.MustCompile("(?ms)^( *)```(\\w+)\n(.*?)\n *```$")

// codeBlocks are the code blocks of one language, without the indentation of the list that they stand in.
func codeBlocks(text, language string) []string {
	var all []string
	for _, m := range codeFence.FindAllStringSubmatch(text, -1) {
		if m[2] == language {
			all = append(all, strings.ReplaceAll("\n"+m[3], "\n"+m[1], "\n"))
		}
	}
	return all
}

// variables are all that a user may set.
func variables() []config.Variable {
	var all []config.Variable
	for _, g := range backends.Variables() {
		all = append(all, g.Variables...)
	}
	return all
}

const troubleshooting = "docs/troubleshooting.md"

// lookupKeys are the texts in the first column of the tables that are looked up by what the pipe printed.
func lookupKeys(t *testing.T) []string {
	t.Helper()
	span := regexp.MustCompile("`([^`]+)`")
	var all []string
	inside := false
	for line := range strings.Lines(docPage(t, troubleshooting)) {
		cells := strings.Split(line, " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case cells[0] == "| After `✖`":
			inside = true
		case inside:
			for _, m := range span.FindAllStringSubmatch(cells[0], -1) {
				all = append(all, m[1])
			}
		}
	}
	if len(all) == 0 {
		t.Fatal(troubleshooting + ": no table begins with `| After ✖`")
	}
	return all
}

// parsedSources are the program's files, parsed.
func parsedSources(t *testing.T) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := filepath.WalkDir(filepath.Join(checkout, "internal"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		all[path], err = parser.ParseFile(token.NewFileSet(), path, nil, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func quoted(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		s, _ := strconv.Unquote(lit.Value)
		return s
	}
	return ""
}

// A message is put together from constant pieces, at colons and where something differs. Each piece of a key must stand in
// a string of one and the same file. That finds a text that was reworded; it does not prove that the pieces meet.
func TestDocsQuoteTheProgram(t *testing.T) {
	var files []string
	for _, file := range parsedSources(t) {
		var all strings.Builder
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok {
				all.WriteString(quoted(lit) + "\n")
			}
			return true
		})
		files = append(files, all.String())
	}
	for _, key := range lookupKeys(t) {
		pieces := strings.Split(strings.ReplaceAll(key, "…", ": "), ": ")
		if longest := slices.MaxFunc(pieces, func(a, b string) int { return len(a) - len(b) }); len(longest) < 6 {
			t.Errorf("%s: %q says too little to be looked up", troubleshooting, key)
		}
		if !slices.ContainsFunc(files, func(strs string) bool {
			return !slices.ContainsFunc(pieces, func(p string) bool { return !strings.Contains(strs, strings.TrimSpace(p)) })
		}) {
			t.Errorf("%s: no file of the program has all of %q", troubleshooting, key)
		}
	}
}

// Every meaning of a refusal can be looked up, for each backend that has a table of them.
func TestDocsHaveEveryRefusal(t *testing.T) {
	tables := map[string][]string{
		"aws": aws.Refusals(), "gcp": gcp.Refusals(), "oauth": oauth.Refusals(), "okta": okta.Refusals(), "vault": vault.Refusals(),
	}
	for path, file := range parsedSources(t) {
		for _, imported := range file.Imports {
			name := filepath.Base(filepath.Dir(path))
			mayHaveOne := quoted(imported.Path) == "bitbucket-oidc/internal/refusal" && name != "federation" && name != "diagnosis"
			if mayHaveOne && tables[name] == nil {
				t.Errorf("%s has a table of refusals, which this test does not look at", path)
			}
		}
	}
	have := lookupKeys(t)
	for name, said := range tables {
		for _, text := range said {
			// A row may leave out the code: what is looked up is the end of a line.
			if !slices.ContainsFunc(have, func(key string) bool { return key == text || strings.HasSuffix(text, ": "+key) }) {
				t.Errorf("%s lacks %q, which %s can print", troubleshooting, text, name)
			}
		}
	}
}

// newestVersion is the newest version of the changelog.
func newestVersion(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+) - `).FindStringSubmatch(docPage(t, "CHANGELOG.md"))
	if m == nil {
		t.Fatal("CHANGELOG.md has no heading such as `## 1.0.0 - 2026-12-01`")
	}
	return m[1]
}

func TestDocsNameTheNewestVersion(t *testing.T) {
	var pipe struct{ Image string }
	if err := yaml.Unmarshal([]byte(docPage(t, "pipe.yml")), &pipe); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(pipe.Image, "/bitbucket-oidc:"+newestVersion(t)) {
		t.Errorf("pipe.yml runs %s, the changelog's newest version is %s", pipe.Image, newestVersion(t))
	}
	for _, name := range pages(t) {
		for _, reference := range regexp.MustCompile(`ACCOUNT/bitbucket-oidc:[^\s"`+"`"+`]*`).FindAllString(docPage(t, name), -1) {
			if reference != "ACCOUNT/bitbucket-oidc:"+newestVersion(t) {
				t.Errorf("%s names %s, the changelog's newest version is %s", name, reference, newestVersion(t))
			}
		}
	}
}

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

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, name := range pages(t) {
		text := codeFence.ReplaceAllString(docPage(t, name), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, anchored := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(checkout, target)); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if anchored && !slices.Contains(anchors(docPage(t, target)), anchor) {
				t.Errorf("%s: no heading for %s", name, m[1])
			}
			// The image has the pages and not the sources, which only CONTRIBUTING.md is about.
			if top, _, _ := strings.Cut(target, "/"); name != "CONTRIBUTING.md" && top != "docs" && !slices.Contains(pages(t), top) {
				t.Errorf("%s: %s is not in the image", name, m[1])
			}
		}
	}
}

// TestLinksLeadToEveryPage: a page that no link leads to is read by nobody.
func TestLinksLeadToEveryPage(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s#]+)[^)\s]*\)`)
	seen, todo := map[string]bool{"README.md": true}, []string{"README.md"}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		for _, m := range link.FindAllStringSubmatch(docPage(t, name), -1) {
			if target := filepath.Join(filepath.Dir(name), m[1]); strings.HasSuffix(target, ".md") && !seen[target] && !strings.Contains(m[1], "://") {
				seen[target] = true
				todo = append(todo, target)
			}
		}
	}
	for _, name := range pages(t) {
		if !seen[name] {
			t.Errorf("no link leads from README.md to %s", name)
		}
	}
	if lines := strings.Count(docPage(t, "README.md"), "\n"); lines > 300 {
		t.Errorf("README.md has %d lines: what one task needs belongs into its page", lines)
	}
}

// TestLinksLeadToWhatIsNotConfirmed: whoever reads of one such thing can look up all of them, and how to tell us.
func TestLinksLeadToWhatIsNotConfirmed(t *testing.T) {
	for _, name := range pages(t) {
		if name == "CHANGELOG.md" || filepath.Base(name) == "not-confirmed.md" {
			continue
		}
		if text := docPage(t, name); strings.Contains(text, "ot confirmed") && !strings.Contains(text, "not-confirmed.md") {
			t.Errorf("%s says that something is not confirmed, and has no link to docs/not-confirmed.md", name)
		}
	}
}

// TestLinksLeadToEveryRule: the page that a finding names is there.
func TestLinksLeadToEveryRule(t *testing.T) {
	for _, rule := range slices.Concat(judge.Rules(), audit.Rules(), judges.Rules(), drift.Rules()) {
		page, found := strings.CutPrefix(finding.Docs(rule.Name), "https://bitbucket.org/ACCOUNT/bitbucket-oidc/src/main/")
		if !found || !strings.HasPrefix(docPage(t, page), "# "+rule.Name+"\n") {
			t.Errorf("%s is not the page of %s", page, rule.Name)
		}
	}
}

// anchors are what a page's headings can be linked by.
func anchors(page string) []string {
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	other := regexp.MustCompile(`[^a-z0-9 _-]`)
	var all []string
	for _, m := range heading.FindAllStringSubmatch(codeFence.ReplaceAllString(page, ""), -1) {
		all = append(all, strings.ReplaceAll(other.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
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

// TestDocsSecurity: what SECURITY.md promises is held by the stories and tests that it names, so they are there.
func TestDocsSecurity(t *testing.T) {
	page := docPage(t, "SECURITY.md")
	names := regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)`").FindAllStringSubmatch(page, -1)
	if len(names) < 20 {
		t.Errorf("only %d stories are named", len(names))
	}
	for _, m := range names {
		if _, err := os.Stat(filepath.Join("script", m[1]+".txtar")); err != nil {
			t.Errorf("SECURITY.md: %v", err)
		}
	}
	there := testFunctions(t)
	for _, name := range regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`).FindAllString(page, -1) {
		if !there[name] {
			t.Errorf("SECURITY.md names %s, which no package has", name)
		}
	}
}

// testFunctions are the names of all tests and fuzz targets.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	all := map[string]bool{}
	for _, root := range []string{"internal", "test"} {
		err := filepath.WalkDir(filepath.Join(checkout, root), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(data, -1) {
				all[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
