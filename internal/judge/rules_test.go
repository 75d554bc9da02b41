package judge

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bitbucket-oidc/internal/finding"
)

// severities finds the rules that the evaluators name, each with the severities that stand beside it in the same call or
// literal.
func severities(t *testing.T) map[string][]finding.Severity {
	t.Helper()
	files, err := filepath.Glob("../trust/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	shape := regexp.MustCompile(`^(aws|gcp|vault)(-[a-z]+)+$`)
	kinds := []string{"aws-role", "aws-provider", "gcp-provider", "gcp-policy", "vault-role"}
	rule := func(e ast.Node) string {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if name, err := strconv.Unquote(lit.Value); err == nil && shape.MatchString(name) && !slices.Contains(kinds, name) {
				return name
			}
		}
		return ""
	}
	named := map[string]finding.Severity{"Error": finding.Error, "Warning": finding.Warning, "Note": finding.Note}
	all := map[string][]finding.Severity{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			var parts []ast.Expr
			switch n := n.(type) {
			case *ast.CallExpr:
				parts = n.Args
			case *ast.CompositeLit:
				if shown, ok := n.Type.(*ast.SelectorExpr); ok && shown.Sel.Name == "Rule" {
					return false // the rule itself
				}
				parts = n.Elts
			default:
				if name := rule(n); name != "" {
					all[name] = append(all[name], "") // with a severity that is not beside it
				}
			}
			var rules []string
			var found []finding.Severity
			if call, ok := n.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Refuse" {
					found = append(found, finding.Error) // what is refused is a finding as well
				}
			}
			for _, part := range parts {
				if pair, ok := part.(*ast.KeyValueExpr); ok {
					part = pair.Value
				}
				if name := rule(part); name != "" {
					rules = append(rules, name)
				} else if s, ok := part.(*ast.SelectorExpr); ok && named[s.Sel.Name] != "" {
					found = append(found, named[s.Sel.Name])
				}
			}
			for _, name := range rules {
				all[name] = append(all[name], found...)
			}
			return true
		})
	}
	return all
}

// The evaluators and the table name the same rules, with the same severities.
func TestRulesAreThoseOfTheEvaluators(t *testing.T) {
	used := severities(t)
	for _, rule := range Rules() {
		found, ok := used[rule.Name]
		if !ok {
			t.Errorf("%s is never found", rule.Name)
		}
		for _, s := range found {
			if s != "" && s != rule.Severity && s != rule.Milder {
				t.Errorf("%s is found with severity %s", rule.Name, s)
			}
		}
		delete(used, rule.Name)
	}
	for name := range used {
		t.Errorf("%s is not in the table", name)
	}
}
