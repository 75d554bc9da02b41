package wif

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"cel.dev/cel-go/common/types/ref"
)

// An attribute is a key of the mapping with its expression. Its problem, if it has one, does not depend on the identity.
type attribute struct {
	key string // such as google.subject, attribute.repository
	expression
}

// compileMapping compiles every expression of a mapping, in the order of the keys.
func compileMapping(env *cel.Environment, mapping map[string]string) []attribute {
	var all []attribute
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		a := attribute{key: key, expression: expression{source: mapping[key]}}
		if mappable(key) {
			a.expression = compile(env, mapping[key], longestExpression)
		} else {
			a.problem = fmt.Sprintf("the key is not google.subject, google.groups or attribute.NAME with at most %d of a-z, 0-9 and _", longestName)
		}
		for _, field := range a.reads() {
			if variable, _, _ := strings.Cut(field, "."); variable == "google" || variable == "attribute" {
				a.problem = fmt.Sprintf("it reads %s, and a mapping can read the assertion only", field)
				a.compiled = nil
				break
			}
		}
		all = append(all, a)
	}
	return all
}

// mappable reports whether a mapping can have the key.
func mappable(key string) bool {
	name, custom := strings.CutPrefix(key, "attribute.")
	if !custom {
		return key == "google.subject" || key == "google.groups"
	}
	return name != "" && len(name) <= longestName && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// An attributeValue is the value of an attribute for one identity, or why there is none.
type attributeValue struct {
	attribute
	values []string // one, except for google.groups
	known  bool     // whether values are known
	shapes []string // the values as far as they are known if the branch is not: each [hole] stands for the name of a branch
	absent string   // the claim that the expression reads and the identity does not have
	doubt  string   // why the verdict is undecided, as a sentence
}

// evaluate computes the value of an attribute. If the claims are nil, nothing is known about them.
func (p *providerJudgement) evaluate(a attribute, assertion map[string]any) attributeValue {
	v := attributeValue{attribute: a}
	switch {
	case a.foreign: // Google accepted it when the provider was made
		v.doubt = "Undecided: the mapping of " + a.key + " uses a function or a syntax that is not known here."
		return v
	case a.compiled == nil || assertion == nil:
		return v
	}
	result := a.compiled.Eval(map[string]any{"assertion": assertion}, p.unknownClaims()...)
	switch result.Outcome {
	case cel.Known:
		if v.values, v.known = stringsOf(a.key, result.Value); !v.known {
			v.problem = fmt.Sprintf("its value has the type %s and must be %s", result.Kind(), typeOf(a.key))
		} else if n := len(v.values); a.key == "google.subject" && n == 1 && len(v.values[0]) > subjectSize {
			v.problem = fmt.Sprintf("its value has %d bytes, more than %d", len(v.values[0]), subjectSize)
		} else if a.key == "google.subject" && v.values[0] == "" {
			v.doubt = "Undecided: the value of google.subject is empty, and Google does not document what happens then."
		}
	case cel.Absent:
		v.absent = result.Detail
		v.doubt = "Undecided: the mapping of " + a.key + " reads " + v.absent + ", which the token does not have, and Google does not document what happens then."
	case cel.Unknown:
		if slices.ContainsFunc(a.reads(), p.unknownField) { // it has a value, which is not known here
			v.shapes = p.shapes(a, assertion)
		} else {
			v.doubt = "Undecided: the mapping of " + a.key + " " + result.Detail + "."
		}
	case cel.Failed:
		v.problem = "it does not evaluate: " + result.Detail
	}
	return v
}

// hole is a private character, which stands for the name of a branch that is not known.
const hole = "\uE000"

// shapes are the values of an attribute that joins the name of the branch with texts that are known: with a branch, and without one if the
// expression then has a value. The attribute has no other values.
func (p *providerJudgement) shapes(a attribute, assertion map[string]any) []string {
	if !p.unknownField("assertion.branchName") || !a.compiled.Joins("assertion.branchName") {
		return nil
	}
	assertion = maps.Clone(assertion)
	assertion["branchName"] = hole
	unknown := slices.DeleteFunc(p.unknownClaims(), func(path []string) bool { return path[1] == "branchName" })
	result := a.compiled.Eval(map[string]any{"assertion": assertion}, unknown...)
	if result.Outcome != cel.Known {
		return nil
	}
	shapes, ok := stringsOf(a.key, result.Value)
	if !ok {
		return nil
	}
	delete(assertion, "branchName")
	result = a.compiled.Eval(map[string]any{"assertion": assertion}, unknown...)
	if result.Outcome == cel.Unknown {
		return nil
	}
	if result.Outcome == cel.Known {
		without, _ := stringsOf(a.key, result.Value)
		shapes = append(shapes, without...)
	}
	return shapes
}

// excludes reports whether no name of a branch gives the attribute a value.
func (v attributeValue) excludes(value string) bool {
	return len(v.shapes) > 0 && !slices.ContainsFunc(v.shapes, func(shape string) bool {
		first, last := strings.Index(shape, hole), strings.LastIndex(shape, hole)
		if first < 0 {
			return shape == value
		}
		before, after := shape[:first], shape[last+len(hole):]
		return strings.HasPrefix(value, before) && strings.HasSuffix(value, after) && len(value) >= len(before)+len(after)
	})
}

// typeOf is the type that the value of a key must have.
func typeOf(key string) string {
	if key == "google.groups" {
		return "a list of strings"
	}
	return "a string"
}

// stringsOf is a value of the type that the key must have.
func stringsOf(key string, value ref.Val) ([]string, bool) {
	if key == "google.groups" {
		return cel.Strings(value)
	}
	text, ok := value.Value().(string)
	return []string{text}, ok
}

// right is the part of the mapping that has no problem.
func (p *providerJudgement) right() map[string]string {
	right := map[string]string{}
	for key, v := range p.values {
		if v.problem == "" {
			right[key] = v.source
		}
	}
	return right
}

// unknownClaims are the fields of the assertion that are not known of the identity.
func (p *providerJudgement) unknownClaims() [][]string {
	var all [][]string
	for _, claim := range append(p.chosenClaims(), p.id.Unknown...) {
		all = append(all, []string{"assertion", claim})
	}
	return all
}

// chosenClaims are the claims that the author of a pipeline chooses, if they are not known.
func (p *providerJudgement) chosenClaims() []string {
	if p.chosen {
		return []string{"branchName", "aud"}
	}
	return nil
}

func (p *providerJudgement) unknownField(field string) bool {
	claim, ok := strings.CutPrefix(field, "assertion.")
	return ok && (!p.id.Knows(claim) || slices.Contains(p.chosenClaims(), claim))
}

// mended is the command that sets the mapping that explain prints, together with the right part of this one.
func (p *providerJudgement) mended() finding.Fix {
	mapping := setup.GCPAttributes(p.id.Claims)
	maps.Copy(mapping, p.right())
	return p.mappingFix(mapping)
}

// mappingFix is the command that sets the mapping, which gcloud replaces as a whole.
func (p *providerJudgement) mappingFix(mapping map[string]string) finding.Fix {
	return p.name.command("update-oidc", "--attribute-mapping="+shell.Word(mappingFlag(mapping)))
}

// mappingFlag is a mapping in the form of gcloud's --attribute-mapping. If an expression has a comma, the flag begins with another
// delimiter (gcloud topic escaping).
func mappingFlag(mapping map[string]string) string {
	var entries []string
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		entries = append(entries, key+"="+mapping[key])
	}
	all := strings.Join(entries, "")
	if !strings.Contains(all, ",") {
		return strings.Join(entries, ",")
	}
	delimiter := ";"
	for strings.Contains(all, delimiter) {
		delimiter += ";"
	}
	return "^" + delimiter + "^" + strings.Join(entries, delimiter)
}
