// Package cel evaluates expressions of the Common Expression Language. Each evaluation is bounded, and values may be unknown.
package cel

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// Bounds of one evaluation. An expression in Google's documentation costs less than 100. The result of a function is charged only after
// the function has made it, so the claims are bounded as well: replace() can square the length of a text.
const (
	costLimit   = 100_000
	memoryLimit = 1 << 20 // elements
	ClaimSize   = 8 << 10 // bytes
)

// An Environment has the functions and variables that an expression may use.
type Environment struct {
	env       *cel.Env
	variables []string
	compiled  int
}

// NewEnvironment returns an environment with CEL's standard functions, the functions of cel-go's library for strings, and Google's
// extract. The types of the variables are not declared, because the values come from JSON.
func NewEnvironment(variables ...string) (*Environment, error) {
	options := []cel.EnvOption{ext.Strings(), extractFunction(), cel.EnableMacroCallTracking()}
	for _, name := range variables {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("CEL: %w", err)
	}
	return &Environment{env: env, variables: variables}, nil
}

// An Expression is an expression that was compiled.
type Expression struct {
	tree    *ast.AST
	program cel.Program
}

// ErrForeign is the error of an expression with a function or a syntax that this environment does not have, and another one may have.
var ErrForeign = errors.New("it uses a function or a syntax that is not known here")

// Compilations is how often the environment compiled an expression.
func (e *Environment) Compilations() int { return e.compiled }

// Compile compiles source. Its error is [ErrForeign], or one line that does not quote the source.
func (e *Environment) Compile(source string) (Expression, error) {
	e.compiled++
	compiled, issues := e.env.Compile(source)
	if err := issues.Err(); err != nil {
		first := issues.Errors()[0]
		if foreign(source, first.Message) {
			return Expression{}, ErrForeign
		}
		text, _, _ := strings.Cut(first.Message, " expecting ") // the rest lists every token of CEL
		return Expression{}, fmt.Errorf("line %d, character %d: %s",
			first.Location.Line(), first.Location.Column()+1, strings.Join(strings.Fields(text), " "))
	}
	e.askForFields(compiled.NativeRep())
	program, err := e.env.Program(compiled, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(costLimit), cel.MemoryLimit(memoryLimit))
	if err != nil {
		return Expression{}, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	return Expression{compiled.NativeRep(), program}, nil
}

// askForFields turns 'field' in variable into has(variable.field). Both ask whether the field is there, but only the second one has a
// known result where other fields of the variable are unknown.
func (e *Environment) askForFields(tree *ast.AST) {
	factory := ast.NewExprFactory()
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind || x.AsCall().FunctionName() != "@in" {
			return
		}
		field, variable := x.AsCall().Args()[0], x.AsCall().Args()[1]
		if field.Kind() != ast.LiteralKind || variable.Kind() != ast.IdentKind || !slices.Contains(e.variables, variable.AsIdent()) {
			return
		}
		if name, ok := field.AsLiteral().Value().(string); ok {
			x.SetKindCase(factory.NewPresenceTest(x.ID(), variable, name))
			delete(tree.ReferenceMap(), x.ID()) // what the call refers to
		}
	}))
}

// An Outcome is how an evaluation ended.
type Outcome int

// The outcomes.
const (
	Known   Outcome = iota // there is a value
	Unknown                // it depends on an unknown value, or takes more work than is done here
	Absent                 // it reads a key that is not there
	Failed                 // it cannot be evaluated
)

// A Result is a value, or why there is none.
type Result struct {
	Outcome Outcome
	Value   ref.Val
	Detail  string // the absent key, what failed, or what the expression does where the value is unknown
}

// Eval evaluates the expression with the variables in known. Each path in unknown is a field, such as {"attribute", "repository"}, or a
// whole variable, such as {"request"}, that has a value which is not known.
func (e Expression) Eval(known map[string]any, unknown ...[]string) Result {
	var patterns []*cel.AttributePatternType
	for _, path := range unknown {
		pattern := cel.AttributePattern(path[0])
		for _, field := range path[1:] {
			pattern = pattern.QualString(field)
		}
		patterns = append(patterns, pattern)
	}
	variables, err := cel.PartialVars(known, patterns...)
	if err != nil {
		return Result{Outcome: Failed, Detail: err.Error()}
	}
	value, _, err := e.program.Eval(variables)
	if err == nil && types.IsUnknown(value) {
		return Result{Outcome: Unknown, Detail: "depends on a value that is not known here"}
	}
	if err == nil {
		return Result{Value: value}
	}
	if _, evaluated := err.(*types.Err); !evaluated {
		return Result{Outcome: Unknown, Detail: "takes more work than is done here"}
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	// cel-go has no type for this error.
	if key, ok := strings.CutPrefix(text, "no such key: "); ok {
		return Result{Outcome: Absent, Detail: key}
	}
	return Result{Outcome: Failed, Detail: text}
}

// Kind is CEL's name for the type of the value.
func (r Result) Kind() string { return r.Value.Type().TypeName() }

// Reads are the fields that the value can depend on, such as assertion.sub, and the variables that are read as a whole. A field in has()
// is left out, because has() asks only whether the field is present.
func (e Expression) Reads() []string {
	var all []string
	inside := map[int64]bool{} // identifiers that stand before a field
	ast.PreOrderVisit(e.tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		operand, field, ok := fieldOf(x)
		switch {
		case ok:
			inside[operand.ID()] = true
			if x.Kind() != ast.SelectKind || !x.AsSelect().IsTestOnly() {
				all = append(all, operand.AsIdent()+"."+field)
			}
		case x.Kind() == ast.IdentKind && !inside[x.ID()]:
			all = append(all, x.AsIdent())
		}
	}))
	slices.Sort(all)
	return slices.Compact(all)
}

// fieldOf takes variable.field and variable['field'] apart.
func fieldOf(x ast.Expr) (operand ast.Expr, field string, ok bool) {
	switch x.Kind() {
	case ast.SelectKind:
		operand, field = x.AsSelect().Operand(), x.AsSelect().FieldName()
	case ast.CallKind:
		call := x.AsCall()
		if call.FunctionName() != "_[_]" || call.Args()[1].Kind() != ast.LiteralKind {
			return nil, "", false
		}
		key, isString := call.Args()[1].AsLiteral().Value().(string)
		if !isString {
			return nil, "", false
		}
		operand, field = call.Args()[0], key
	default:
		return nil, "", false
	}
	return operand, field, operand.Kind() == ast.IdentKind
}

// Functions are the names of the functions and macros that the expression calls, without the operators.
func (e Expression) Functions() []string {
	var all []string
	add := func(x ast.Expr) {
		if x.Kind() == ast.CallKind {
			// The names of operators cannot be written in an expression: _&&_, !_, @in.
			if name := x.AsCall().FunctionName(); !strings.ContainsAny(name[:1], "_@!-") {
				all = append(all, name)
			}
		}
	}
	ast.PreOrderVisit(e.tree.Expr(), ast.NewExprVisitor(add))
	for _, macro := range e.tree.SourceInfo().MacroCalls() {
		add(macro)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// extractFunction is the function extract of Google's conditions. For a template that the documentation does not describe, the result is
// unknown.
func extractFunction() cel.EnvOption {
	return cel.Function("extract", cel.MemberOverload("string_extract_string",
		[]*cel.Type{cel.StringType, cel.StringType}, cel.StringType,
		cel.BinaryBinding(func(text, template ref.Val) ref.Val {
			got, described := extract(string(text.(types.String)), string(template.(types.String)))
			if !described {
				return types.NewUnknown(0, nil)
			}
			return types.String(got)
		})))
}

// extract returns the part of text for which template has an identifier in braces: it begins after the first occurrence of the prefix and
// ends before the next occurrence of the suffix. It is empty if the text has no such prefix or suffix.
//
// Source: Google Cloud, "Attribute reference for IAM Conditions", Extract values from attributes.
func extract(text, template string) (value string, described bool) {
	prefix, rest, opened := strings.Cut(template, "{")
	identifier, suffix, closed := strings.Cut(rest, "}")
	if !opened || !closed || !isIdentifier(identifier) || strings.ContainsAny(prefix+suffix, "{}") {
		return "", false
	}
	_, after, found := strings.Cut(text, prefix)
	if !found {
		return "", true
	}
	if suffix == "" {
		return after, true
	}
	before, _, found := strings.Cut(after, suffix)
	if !found {
		return "", true
	}
	return before, true
}

// isIdentifier reports whether s can be an identifier of extract: letters, digits and underscores.
func isIdentifier(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	})
}

// Claims converts claims to the types of CEL. It returns false if they are larger than [ClaimSize].
func Claims(claims map[string]any) (map[string]any, bool) {
	data, err := json.Marshal(claims)
	if err != nil || len(data) > ClaimSize {
		return nil, false
	}
	var plain map[string]any // numbers are doubles, as in CEL's JSON
	if json.Unmarshal(data, &plain) != nil || plain == nil {
		return nil, false
	}
	return plain, true
}

// Strings converts a list of strings. It returns false for any other value.
func Strings(value ref.Val) ([]string, bool) {
	items, ok := value.(traits.Lister)
	if !ok {
		return nil, false
	}
	all := []string{}
	for it := items.Iterator(); it.HasNext() == types.True; {
		text, ok := it.Next().Value().(string)
		if !ok {
			return nil, false
		}
		all = append(all, text)
	}
	return all, true
}

// foreign reports whether a message of the compiler is about a function, alone or in a namespace, or a syntax that other environments may
// have. cel-go has no type for this error.
func foreign(source, message string) bool {
	if strings.HasPrefix(message, "unsupported syntax") {
		return true
	}
	rest, ok := strings.CutPrefix(message, "undeclared reference to '")
	name, _, _ := strings.Cut(rest, "'")
	return ok && regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`(\s*\.\s*\w+)*\s*\(`).MatchString(source)
}
