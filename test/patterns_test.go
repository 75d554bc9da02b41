package test

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"testing"
)

// TestPatterns compiles each expression that a program compiles at its first use, and finds expressions that every start compiles.
func TestPatterns(t *testing.T) {
	files := sources(t)
	constants := map[string]ast.Expr{} // by folder and name
	for file, parsed := range files {
		for _, d := range parsed.Decls {
			if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.CONST {
				for _, spec := range d.Specs {
					for i, value := range spec.(*ast.ValueSpec).Values {
						constants[path.Dir(file)+" "+spec.(*ast.ValueSpec).Names[i].Name] = value
					}
				}
			}
		}
	}
	compiled := 0
	for file, parsed := range files {
		for _, d := range parsed.Decls {
			_, inFunction := d.(*ast.FuncDecl)
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if !inFunction && isCall(call, "regexp", "MustCompile") {
					t.Errorf("%s compiles an expression at each start: pattern.New waits for its first use", file)
				}
				if !isCall(call, "pattern", "New") {
					return true
				}
				compiled++
				expression, ok := constantText(call.Args[0], path.Dir(file)+" ", constants)
				if _, err := regexp.Compile(expression); err != nil || !ok {
					t.Errorf("%s: %q (constant: %t): %v", file, expression, ok, err)
				}
				return true
			})
		}
	}
	if compiled < 50 {
		t.Errorf("%d patterns were found", compiled)
	}
}

func isCall(call *ast.CallExpr, pkg, name string) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != name {
		return false
	}
	from, ok := f.X.(*ast.Ident)
	return ok && from.Name == pkg
}

// constantText is the text of literals and constants that are put together.
func constantText(e ast.Expr, folder string, constants map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := constantText(e.X, folder, constants)
		right, ok2 := constantText(e.Y, folder, constants)
		return left + right, ok && ok2 && e.Op == token.ADD
	case *ast.Ident:
		value, ok := constants[folder+e.Name]
		if !ok {
			return "", false
		}
		return constantText(value, folder, constants)
	}
	return "", false
}
