package wif

import "cel.dev/cel-go/common/types/ref"

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

// mapping evaluates every expression of the mapping.
func (p *ProviderJudgement) mapping() {
	const rule = "gcp-mapping-invalid"
	fix := p.mappingFix(setup.GCPAttributes(p.id.Claims))
	if _, ok := p.file.AttributeMapping["google.subject"]; !ok {
		p.Refuse(rule, "attributeMapping", "the mapping has no google.subject, which an OIDC provider must map", fix)
	}
	custom := 0
	for key := range p.file.AttributeMapping {
		if strings.HasPrefix(key, "attribute.") {
			custom++
		}
	}
	if custom > mostAttributes {
		p.Refuse(rule, "attributeMapping", fmt.Sprintf("the mapping has %d custom attributes, more than %d", custom, mostAttributes), fix)
		return
	}
	assertion, ok := cel.Claims(p.id.All)
	if !ok {
		p.Undecide(fmt.Sprintf("the claims are larger than the %d bytes that are evaluated here", cel.ClaimSize))
	}
	p.right = p.valid(assertion)
	mended := setup.GCPAttributes(p.id.Claims)
	maps.Copy(mended, p.right)
	fix, total := p.mappingFix(mended), 0
	for _, key := range slices.Sorted(maps.Keys(p.file.AttributeMapping)) {
		attribute := p.attribute(key, assertion, fix)
		p.attributes[key] = attribute
		for _, value := range attribute.values {
			total += len(value)
		}
	}
	if total > mappedSize {
		p.Refuse(rule, "attributeMapping", fmt.Sprintf("the mapped attributes have %d bytes together, more than %d", total, mappedSize), fix)
	}
}

// valid is what is right of the mapping.
func (p *ProviderJudgement) valid(assertion map[string]any) map[string]string {
	valid := map[string]string{}
	for key, source := range p.file.AttributeMapping {
		tried := ProviderJudgement{file: p.file, id: p.id, name: p.name, env: p.env}
		tried.attribute(key, assertion, "")
		if !slices.ContainsFunc(tried.Findings, func(f trust.Finding) bool { return f.Rule == "gcp-mapping-invalid" }) {
			valid[key] = source
		}
	}
	return valid
}

// attribute evaluates one expression of the mapping. Where the claims are nil, nothing is known of them.
func (p *ProviderJudgement) attribute(key string, assertion map[string]any, fix string) attribute {
	const rule = "gcp-mapping-invalid"
	path, source := "attributeMapping."+key, p.file.AttributeMapping[key]
	invalid := func(format string, args ...any) attribute {
		p.Refuse(rule, path, key+": "+fmt.Sprintf(format, args...), fix)
		return attribute{}
	}
	if !mappable(key) {
		return invalid("not google.subject, google.groups or attribute.NAME with at most %d of a-z, 0-9 and _", longestName)
	}
	if n := utf8.RuneCountInString(source); n > longestExpression {
		return invalid("an expression of %d characters, more than %d", n, longestExpression)
	}
	expression, err := p.env.Compile(source)
	if err != nil {
		return invalid("%v", err)
	}
	got := attribute{}
	for _, field := range expression.Reads() {
		if variable, _, _ := strings.Cut(field, "."); variable == "google" || variable == "attribute" {
			return invalid("it reads %s, and a mapping can read the assertion only", field)
		}
		got.reads = append(got.reads, field)
	}
	p.confirm(path, expression)
	if assertion == nil {
		return got
	}
	result := expression.Eval(map[string]any{"assertion": assertion})
	switch result.Outcome {
	case cel.Absent:
		p.Undecide(fmt.Sprintf("%s reads %s, which the token does not have, and Google does not say what follows", key, result.Detail))
		if slices.Contains(got.reads, "assertion."+result.Detail) {
			fix = p.guarded(key, result.Detail)
		}
		p.Find(finding.Error, "gcp-mapping-absent-claim", path,
			fmt.Sprintf("%s reads %s, which the token does not have, without asking with has()", key, result.Detail), fix)
		return got
	case cel.Unknown:
		p.Undecide(key + ": " + result.Detail)
		return got
	case cel.Failed:
		return invalid("it does not evaluate: %s", result.Detail)
	}
	if got.values, got.known = stringsOf(key, result.Value); !got.known {
		return invalid("it comes to a value of type %s, not to %s", result.Kind(), typeOf(key))
	}
	if key == "google.subject" {
		p.subject(got.values[0], path, fix)
	}
	return got
}

func (p *ProviderJudgement) subject(value, path, fix string) {
	switch {
	case value == "":
		p.Undecide("google.subject comes to nothing, and Google does not say what follows")
	case len(value) > subjectSize:
		p.Refuse("gcp-mapping-invalid", path, fmt.Sprintf("google.subject: %d bytes, more than %d", len(value), subjectSize), fix)
	}
}

// guarded is the whole mapping with a claim of one expression asked for first.
func (p *ProviderJudgement) guarded(key, claim string) string {
	mapping := maps.Clone(p.file.AttributeMapping)
	expression, none := mapping[key], "'none'"
	if strings.Contains(expression, "?") {
		expression = "(" + expression + ")"
	}
	if key == "google.groups" {
		none = "[]"
	}
	mapping[key] = fmt.Sprintf("has(assertion.%s) ? %s : %s", claim, expression, none)
	return p.mappingFix(mapping)
}

// mappingFix is the command that sets the mapping, which gcloud replaces as a whole.
func (p *ProviderJudgement) mappingFix(mapping map[string]string) string {
	return p.name.command("update-oidc", "--attribute-mapping="+shell.Word(mappingFlag(mapping)))
}

// mappingFlag is a mapping in the form of gcloud's --attribute-mapping. Where an expression has a comma, another delimiter is
// named first (gcloud topic escaping).
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

// mappable tells whether a mapping can have the key.
func mappable(key string) bool {
	name, custom := strings.CutPrefix(key, "attribute.")
	if !custom {
		return key == "google.subject" || key == "google.groups"
	}
	return name != "" && len(name) <= longestName && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// typeOf is what a key must come to.
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
