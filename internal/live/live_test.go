package live

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// operations are the requests that the package can send, by the names that the clouds' own logs and permissions have. All of them
// read, except sts:AssumeRole, which enters another account.
func operations() []string {
	return []string{
		"iam:ListRoles", "iam:GetRole", "iam:ListOpenIDConnectProviders", "iam:GetOpenIDConnectProvider",
		"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity",
		"GET iam.googleapis.com/v1/POOL", "GET iam.googleapis.com/v1/POOL/providers",
		"GET iam.googleapis.com/v1/projects/PROJECT/serviceAccounts",
		"POST iam.googleapis.com/v1/projects/-/serviceAccounts/EMAIL:getIamPolicy",
		"GET cloudasset.googleapis.com/v1/SCOPE:searchAllIamPolicies",
		"LIST auth/MOUNT/role", "GET auth/MOUNT/role/NAME", "GET auth/MOUNT/config",
	}
}

// TestOperations compares what the package can send with the list: the methods of AWS's clients that it calls, the methods of HTTP that it
// uses, and the ends of the paths.
func TestOperations(t *testing.T) {
	sent := map[string]bool{}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if from, ok := n.X.(*ast.Ident); ok && from.Name == "iam" && strings.HasSuffix(n.Sel.Name, "Input") {
					sent["iam:"+strings.TrimSuffix(n.Sel.Name, "Input")] = true
				}
				if from, ok := n.X.(*ast.Ident); ok && from.Name == "stscreds" && strings.HasSuffix(n.Sel.Name, "Provider") {
					sent[map[string]string{"NewAssumeRoleProvider": "sts:AssumeRole", "NewWebIdentityRoleProvider": "sts:AssumeRoleWithWebIdentity"}[n.Sel.Name]] = true
				}
				if from, ok := n.X.(*ast.Ident); ok && from.Name == "http" && strings.HasPrefix(n.Sel.Name, "Method") {
					sent[n.Sel.Name] = true
				}
				if from, ok := n.X.(*ast.Ident); ok && from.Name == "sts" && strings.HasSuffix(n.Sel.Name, "Input") {
					t.Errorf("%s sends sts.%s by itself", f.Name(), n.Sel.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && n.Value == `"LIST"` {
					sent["LIST"] = true
				}
			}
			return true
		})
	}
	want := []string{"LIST", "MethodGet", "MethodPost"} // the post is Google's getIamPolicy
	for _, name := range operations() {
		if strings.HasPrefix(name, "iam:") || strings.HasPrefix(name, "sts:") {
			want = append(want, name)
		}
		verb := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz:")
		reads := strings.HasSuffix(name, ":getIamPolicy")
		for _, read := range []string{"Get", "List", "GET", "LIST", "AssumeRole"} {
			reads = reads || strings.HasPrefix(verb, read)
		}
		if !reads {
			t.Errorf("%s may change something", name)
		}
	}
	got := []string{}
	for name := range sent {
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the code can send %q, and the list has %q", got, want)
	}
}
