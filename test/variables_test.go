package test

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestVariablesAreInTheTable: a name that the code reads and the table lacks would never be set, and is in no document. A name that
// the table has and nothing reads would do nothing.
func TestVariablesAreInTheTable(t *testing.T) {
	known, named := map[string]bool{}, map[string]bool{}
	for _, v := range variables() {
		known[v.Name] = true
	}
	name := regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$|^(BACKENDS|ARGUMENTS|COMMAND|DEBUG|TIMEOUT)$`)
	getters := []string{
		"Text", "IsSet", "Given", "Boolean", "Duration", "Seconds", "List", "Endpoint", "Secret", "Authorities", "name", "slug",
		"tokenType", "existing", "inside",
	}
	for path, file := range parsedSources(t) {
		if pkg := filepath.Base(filepath.Dir(path)); !slices.Contains([]string{"config", "backends", "cli", "app"}, pkg) {
			continue
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && strings.HasSuffix(strings.ToLower(f.Name.Name), "variables") {
				continue // the table
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					named[quoted(n)] = true
				case *ast.CallExpr:
					for _, argument := range n.Args {
						if text := quoted(argument); slices.Contains(getters, called(n)) && name.MatchString(text) && !known[text] {
							t.Errorf("%s reads %s, which no table has", path, text)
						}
					}
				}
				return true
			})
		}
	}
	for one := range known {
		if !named[one] && !strings.HasPrefix(one, "BITBUCKET_") { // config.Step has those as tags
			t.Errorf("nothing reads %s", one)
		}
	}
}

// called is the name of the function or method that is called.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
