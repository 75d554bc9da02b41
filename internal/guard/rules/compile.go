package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/strictyaml"
)

// A compiler reads a file and reports what is wrong with it to the file.
type compiler struct {
	file  *File
	env   *cel.Env
	names map[string]bool
}

// An expression is one that compiles.
type expression struct {
	source  string
	tree    *ast.AST
	program cel.Program
}

// inputs are the names that every expression may use, beside the file's variables.
func inputs() []string {
	return []string{"claims", "request", "env", "pipeline", "credential", "now", "constants"}
}

// environment has a type for each input, so a field that does not exist is a mistake of the file.
func environment() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(
			reflect.TypeFor[guard.Claims](), reflect.TypeFor[guard.Request](), reflect.TypeFor[guard.Env](),
			reflect.TypeFor[guard.Pipeline](), reflect.TypeFor[guard.Credential](), types.ParseStructTags(true),
		),
		ext.Strings(ext.StringsVersion(4)), ext.Sets(), ext.Lists(), ext.Bindings(), cel.EnableMacroCallTracking(),
		cel.Variable("claims", cel.ObjectType("guard.Claims")),
		cel.Variable("request", cel.ObjectType("guard.Request")),
		cel.Variable("env", cel.ObjectType("guard.Env")),
		cel.Variable("pipeline", cel.ObjectType("guard.Pipeline")),
		cel.Variable("credential", cel.ObjectType("guard.Credential")),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("constants", cel.MapType(cel.StringType, cel.DynType)),
	)
}

func (c *compiler) start(root strictyaml.Value) bool {
	env, err := environment()
	if err != nil {
		root.Problem("the expression language does not start") // the same for every file: a test would have failed
		return false
	}
	c.env = env
	return true
}

// declare makes a variable known to the expressions behind it. One whose own expression is a mistake is of any type, so that the
// mistake is reported once.
func (c *compiler) declare(name string, e *expression, at strictyaml.Value) {
	of := cel.DynType
	if e != nil {
		of = e.tree.GetType(e.tree.Expr().ID())
		c.file.variables = append(c.file.variables, variable{name, *e})
	}
	env, err := c.env.Extend(cel.Variable(name, of))
	if err != nil {
		at.Problem("the name cannot be used")
		return
	}
	c.env = env
}

// expression compiles a text of the file. Its problems are at the text's place, with the character in the expression.
func (c *compiler) expression(v strictyaml.Value) *expression {
	source := v.Text()
	if !v.Present() || strings.TrimSpace(source) == "" {
		if v.Present() {
			v.Problem("the expression is empty")
		}
		return nil
	}
	compiled, issues := c.env.Compile(source)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			text, _, _ := strings.Cut(e.Message, " expecting ") // and then every token of the language
			text = strings.ReplaceAll(text, "guard.", "")
			text = strings.Join(strings.Fields(text), " ")
			if e.Location.Line() < 1 { // of the whole expression
				v.Problem("%s", text)
				continue
			}
			v.Problem("character %d of line %d of the expression: %s", e.Location.Column()+1, e.Location.Line(), text)
		}
		return nil
	}
	e := &expression{source: strings.TrimSpace(source), tree: compiled.NativeRep()}
	missing := slices.DeleteFunc(constantsOf(e.tree), func(name string) bool { _, known := c.file.constants[name]; return known })
	for _, name := range missing {
		v.Problem("constants has no %s", name)
	}
	if len(missing) > 0 {
		return nil
	}
	program, err := c.env.Program(compiled, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(100))
	if err != nil {
		v.Problem("%s", strings.Join(strings.Fields(err.Error()), " "))
		return nil
	}
	e.program = program
	return e
}

// condition compiles an expression that must be true or false.
func (c *compiler) condition(v strictyaml.Value) *expression {
	e := c.expression(v)
	if e == nil {
		return nil
	}
	if t := e.tree.GetType(e.tree.Expr().ID()); t.Kind() != types.BoolKind && t.Kind() != types.DynKind {
		v.Problem("is of type %s, and must be bool", strings.ReplaceAll(t.String(), "guard.", ""))
		return nil
	}
	return e
}

// constantsOf lists the constants that an expression names.
func constantsOf(tree *ast.AST) []string {
	var all []string
	walk(tree, func(path []string) {
		if path[0] == "constants" && len(path) > 1 && !slices.Contains(all, path[1]) {
			all = append(all, path[1])
		}
	})
	return all
}

// walk visits what an expression reads: each name with the fields behind it, such as claims, branchName.
func walk(tree *ast.AST, visit func(path []string)) {
	inner := map[int64]bool{} // operands of a longer path
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		var path []string
		for e := e; ; e = e.AsSelect().Operand() {
			switch {
			case e.Kind() == ast.SelectKind:
				path = append(path, e.AsSelect().FieldName())
				inner[e.AsSelect().Operand().ID()] = true
				continue
			case e.Kind() == ast.IdentKind:
				path = append(path, e.AsIdent())
			default:
				return
			}
			break
		}
		if inner[e.ID()] {
			return
		}
		slices.Reverse(path)
		visit(path)
	}))
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
