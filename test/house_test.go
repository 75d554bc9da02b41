package test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows is the plan of the house: which packages of this module each package imports. Data flows one way; a backend never
// imports another.
func arrows() map[string][]string {
	return map[string][]string{
		"pipe":       {"app"},
		"app":        {"config", "federation", "handoff", "hint", "oidc", "sarif", "trust"},
		"config":     {"aws", "charset", "federation", "gcp", "handoff", "hint", "oauth", "oidc", "okta", "pipelines", "secret", "transport", "vault"},
		"aws":        {"charset", "federation", "hint", "oidc", "secret", "transport", "trust"},
		"gcp":        {"charset", "federation", "hint", "oidc", "secret", "transport", "trust"},
		"vault":      {"federation", "hint", "oidc", "secret", "transport", "trust", "wire"},
		"okta":       {"federation", "hint", "oidc", "transport", "wire"},
		"oauth":      {"charset", "federation", "hint", "oidc", "secret", "transport", "wire"},
		"wire":       {"charset", "hint", "secret", "transport"},
		"federation": {"hint", "oidc", "secret"},
		"handoff":    {"charset", "federation", "hint", "oidc", "secret"},
		"sarif":      {"trust"},
		"trust":      {"oidc"},
		"oidc":       {"secret"},
		"transport":  {},
		"hint":       {},
		"secret":     {},
		"charset":    {},
		"pipelines":  {},
	}
}

// TestImportsGoOneWay fails on an arrow that the code does not use as well: nobody would see the day on which it does.
func TestImportsGoOneWay(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./pipe/...", "./internal/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	planned := arrows()
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		name := path.Base(pkg.ImportPath)
		want, ok := planned[name]
		if !ok {
			t.Errorf("package %s is not in the plan", name)
		}
		delete(planned, name)
		for _, imported := range pkg.Imports {
			if own, ok := strings.CutPrefix(imported, "bitbucket-oidc/internal/"); ok && !slices.Contains(want, own) {
				t.Errorf("%s imports %s", name, own)
			}
			if imported == "github.com/kelseyhightower/envconfig" && name != "config" {
				t.Errorf("%s reads the environment with envconfig", name)
			}
			if imported == "net/http" && !slices.Contains([]string{"aws", "gcp", "vault", "okta", "oauth", "wire", "transport"}, name) {
				t.Errorf("%s talks http", name)
			}
		}
		for _, own := range want {
			if !slices.Contains(pkg.Imports, "bitbucket-oidc/internal/"+own) {
				t.Errorf("the plan has %s import %s, which it does not", name, own)
			}
		}
	}
	for name := range planned {
		t.Errorf("the plan has a package %s, which is not there", name)
	}
}

// TestEffectsHaveOneAddress looks at the calls in the program's code: who exits, reads the environment, writes files,
// prints.
func TestEffectsHaveOneAddress(t *testing.T) {
	address := map[string][]string{ // call → packages that may make it
		"os.Exit": {"main"}, "os.Getenv": {"config"}, "os.LookupEnv": {"config"}, "os.Environ": {"config"}, "os.ReadFile": {"handoff"},
		"os.OpenRoot": {"handoff"}, "os.Getwd": {"handoff"},
		"fmt.Print": {}, "fmt.Println": {}, "fmt.Printf": {}, "log.Print": {}, "log.Printf": {}, "log.Fatal": {}, "panic": {},
		"os.Setenv": {"config"}, "os.Unsetenv": {"config"}, "os.Create": {}, "os.WriteFile": {}, "os.OpenFile": {"app", "config"}, "os.Remove": {}, "os.RemoveAll": {}, "os.Mkdir": {},
		"os.MkdirAll": {}, "os.Rename": {}, "os.Symlink": {}, "os.Chmod": {}, "os.Chown": {}, "os.CreateTemp": {}, "os.MkdirTemp": {},
		"http.Get": {}, "http.Post": {}, "time.Sleep": {}, "unix.Prctl": {"main"}, "unix.Setrlimit": {"main"},
	}
	checked := 0
	for _, root := range []string{"../pipe", "../internal"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			checked++
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Name.Name == "init" && n.Recv == nil {
						t.Errorf("%s has an init", file)
					}
				case *ast.CallExpr:
					name := called(n)
					if may, watched := address[name]; watched && !slices.Contains(may, parsed.Name.Name) {
						t.Errorf("%s calls %s", file, name)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 10 {
		t.Errorf("only %d files were looked at", checked)
	}
}

func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if pkg, ok := f.X.(*ast.Ident); ok {
			return pkg.Name + "." + f.Sel.Name
		}
	}
	return ""
}
