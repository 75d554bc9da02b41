package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/gcp"
	"bitbucket-oidc/internal/oauth"
	"bitbucket-oidc/internal/okta"
	"bitbucket-oidc/internal/vault"
)

// Users read the README and docs, Bitbucket reads pipe.yml. These tests compare both with the code.

const checkout = ".."

func docPage(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(checkout, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// pages are the pages that a reader of the repository or of the image can open.
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
