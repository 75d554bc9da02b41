package wif

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"bitbucket-oidc/internal/cel"
)

// An expression is an expression of a file, compiled once. The zero expression is one that the file does not have.
type expression struct {
	source   string
	compiled *cel.Expression // nil where the expression cannot be evaluated here
	problem  string          // why Google cannot evaluate it either; empty where it can
	foreign  bool            // it uses a function or a syntax that Google may know and this program does not
}

// compile compiles source, unless it has more than longest characters.
func compile(env *cel.Environment, source string, longest int) expression {
	e := expression{source: source}
	if n := utf8.RuneCountInString(source); n > longest {
		e.problem = fmt.Sprintf("the expression has %d characters, more than %d", n, longest)
		return e
	}
	compiled, err := env.Compile(source)
	switch {
	case errors.Is(err, cel.ErrForeign):
		e.foreign = true
	case err != nil:
		e.problem = err.Error()
	default:
		e.compiled = &compiled
	}
	return e
}

// reads are the fields that the value can depend on, such as assertion.sub.
func (e expression) reads() []string {
	if e.compiled == nil {
		return nil
	}
	return e.compiled.Reads()
}
