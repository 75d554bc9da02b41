package cel

import (
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"

	"bitbucket-oidc/internal/bitbucket"
)

// LooksInside names the first function with which the expression distinguishes parts of UUIDs. If the result is empty, the expression
// treats all UUIDs alike that are not in its literals: one of them can be judged for all. tells reports whether a field, such as
// assertion.sub, holds the UUID of a repository, an environment or a step.
func (e Expression) LooksInside(tells func(field string) bool) string {
	found := ""
	ast.PreOrderVisit(e.tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind || found != "" {
			return
		}
		call := x.AsCall()
		operands := call.Args()
		if call.IsMemberFunction() {
			operands = append([]ast.Expr{call.Target()}, operands...)
		}
		for _, o := range operands {
			if touches(o, tells) && !generic(call.FunctionName(), operands) {
				found = strings.Trim(call.FunctionName(), "_@")
				return
			}
		}
	}))
	return found
}

// touches reports whether a value can hold a UUID: through a field, a variable of a comprehension, or a whole variable.
func touches(x ast.Expr, tells func(string) bool) bool {
	found := false
	inside := map[int64]bool{}
	ast.PreOrderVisit(x, ast.NewExprVisitor(func(x ast.Expr) {
		operand, field, ok := fieldOf(x)
		switch {
		case ok:
			inside[operand.ID()] = true
			name := operand.AsIdent()
			if name != "assertion" && name != "attribute" && name != "google" || tells(name+"."+field) {
				found = true
			}
		case x.Kind() == ast.IdentKind && !inside[x.ID()]:
			found = true
		}
	}))
	return found
}

// Joins reports whether a field, such as assertion.branchName, goes into the value as it is: the expression only joins it with other texts,
// or chooses between such texts without looking at the field. It may ask whether the field is there.
func (e Expression) Joins(field string) bool {
	return joins(e.tree.Expr(), func(f string) bool { return f == field })
}

func joins(x ast.Expr, is func(field string) bool) bool {
	if !touches(x, is) {
		return true
	}
	if operand, field, ok := fieldOf(x); ok && is(operand.AsIdent()+"."+field) {
		return x.Kind() != ast.SelectKind || !x.AsSelect().IsTestOnly()
	}
	switch x.Kind() {
	case ast.ListKind:
		return !slices.ContainsFunc(x.AsList().Elements(), func(e ast.Expr) bool { return !joins(e, is) })
	case ast.CallKind:
		args := x.AsCall().Args()
		switch x.AsCall().FunctionName() {
		case "_+_":
			return joins(args[0], is) && joins(args[1], is)
		case "_?_:_":
			return asks(args[0], is) && joins(args[1], is) && joins(args[2], is)
		}
	}
	return false
}

// asks reports whether nothing about a field counts but whether it is there.
func asks(x ast.Expr, is func(field string) bool) bool {
	if !touches(x, is) {
		return true
	}
	if x.Kind() == ast.SelectKind {
		_, _, ok := fieldOf(x)
		return ok && x.AsSelect().IsTestOnly()
	}
	if x.Kind() != ast.CallKind {
		return false
	}
	switch x.AsCall().FunctionName() {
	case "!_", "_&&_", "_||_":
		return !slices.ContainsFunc(x.AsCall().Args(), func(e ast.Expr) bool { return !asks(e, is) })
	}
	return false
}

// generic reports whether a function with these operands treats all UUIDs alike that are not in its literals. The target of a member
// function is the first operand.
func generic(function string, operands []ast.Expr) bool {
	switch function {
	case "_==_", "_!=_", "@in", "_in_", "_&&_", "_||_", "!_", "_?_:_", "_+_", "_[_]", "size", "has", "join",
		"lowerAscii", "upperAscii", "string", "dyn", "@not_strictly_false":
		return true
	case "_-_", "_*_", "_/_", "_%_", "-_", "_<_", "_<=_", "_>_", "_>=_":
		for _, o := range operands {
			if !number(o) {
				return false
			}
		}
		return true
	case "startsWith", "endsWith", "contains", "split", "extract", "matches":
		if len(operands) < 2 || operands[1].Kind() != ast.LiteralKind {
			return false
		}
		text, ok := operands[1].AsLiteral().Value().(string)
		switch {
		case !ok:
			return false
		case function == "matches":
			return wholePattern(text)
		case function == "split":
			return text != "" && !strings.ContainsAny(text, "0123456789abcdefABCDEF-")
		case function == "extract":
			text = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(text, "")
			return !strings.ContainsAny(text, "0123456789abcdefABCDEF-")
		}
		return wholeText(text)
	}
	return false
}

// number reports whether a value is a number that does not depend on a UUID: a literal that is not a text, or a length.
func number(x ast.Expr) bool {
	switch x.Kind() {
	case ast.LiteralKind:
		_, text := x.AsLiteral().Value().(string)
		return !text
	case ast.CallKind:
		return x.AsCall().FunctionName() == "size"
	}
	return false
}

// wholeText reports whether a literal holds whole UUIDs only, and no part of one. Besides them it may have characters that surround a UUID
// or that no UUID has.
func wholeText(text string) bool {
	for _, span := range spans(text) {
		text = text[:span.Start] + "#" + text[span.End:]
	}
	text = strings.NewReplacer("{#}", "", "#", "").Replace(text)
	if regexp.MustCompile(`[0-9a-fA-F-]\}|\{[0-9a-fA-F-]`).MatchString(text) {
		return false
	}
	return !strings.ContainsAny(text, "0123456789abcdefABCDEF") || strings.Trim(text, "0123456789abcdefABCDEF-{}:") != ""
}

// wholePattern is wholeText for a regular expression: besides whole UUIDs it has only what matches every character alike.
func wholePattern(text string) bool {
	text = strings.NewReplacer(`\{`, "⟨", `\}`, "⟩", `\-`, "-", `\:`, ":").Replace(text)
	for _, span := range spans(text) {
		behind := text[span.End:]
		if behind != "" && !strings.HasPrefix(behind, "⟩") && !strings.HasPrefix(behind, "}") && !strings.ContainsAny(behind[:1], "$:|)") {
			return false
		}
		text = text[:span.Start] + text[span.End:]
	}
	return strings.Trim(text, "^$|():.*+⟨⟩{}") == ""
}

// spans are the UUIDs in a text, the last first.
func spans(text string) []bitbucket.Span {
	all := bitbucket.UUIDs(text)
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// Texts are the text literals of the expression.
func (e Expression) Texts() []string {
	var all []string
	ast.PreOrderVisit(e.tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.LiteralKind {
			if text, ok := x.AsLiteral().Value().(string); ok {
				all = append(all, text)
			}
		}
	}))
	return all
}
