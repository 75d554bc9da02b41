package wif

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"cel.dev/cel-go/common/types/ref"
)

func mappingInvalid() finding.Rule {
	return finding.Rule{
		Name: "gcp-mapping-invalid", Severity: finding.Error,
		Finds: "a mapping that cannot work",
		Why:   "A mapping reads only `assertion` and results in texts, for `google.groups` in a list of texts. It must set `google.subject`, to at most 127 bytes; all attributes together have at most 8 KB.",
		Fix:   "Replace the expression; see `pipe explain`.",
	}
}

// mapped evaluates every expression of the mapping.
func (p *providerJudgement) mapped() {
	const rule = "gcp-mapping-invalid"
	fix := p.mappingFix(setup.GCPAttributes(p.id.Claims))
	if _, ok := p.file.AttributeMapping["google.subject"]; !ok {
		p.Refuse(rule, "attributeMapping", "The mapping has no google.subject, which an OIDC provider must map.", fix)
	}
	if custom := p.customAttributes(); custom > mostAttributes {
		p.Refuse(rule, "attributeMapping", fmt.Sprintf("The mapping has %d custom attributes, more than %d.", custom, mostAttributes), fix)
		return
	}
	assertion, ok := cel.Claims(p.id.All)
	if !ok {
		p.Undecide(fmt.Sprintf("Undecided: the claims are larger than the %d bytes that are evaluated here.", cel.ClaimSize))
	}
	if !p.bare {
		p.right = p.valid(assertion)
		mended := setup.GCPAttributes(p.id.Claims)
		maps.Copy(mended, p.right)
		fix = p.mappingFix(mended)
	}
	total := 0
	for _, key := range slices.Sorted(maps.Keys(p.file.AttributeMapping)) {
		attribute := p.attribute(key, assertion, fix)
		p.attributes[key] = attribute
		for _, value := range attribute.values {
			total += len(value)
		}
	}
	if total > mappedSize {
		p.Refuse(rule, "attributeMapping", fmt.Sprintf("The mapped attributes have %d bytes together, more than %d.", total, mappedSize), fix)
	}
}

// valid is what is right of the mapping.
func (p *providerJudgement) valid(assertion map[string]any) map[string]string {
	valid := map[string]string{}
	for key, source := range p.file.AttributeMapping {
		tried := providerJudgement{Provider: p.Provider, id: p.id}
		tried.attribute(key, assertion, finding.Fix{})
		if !tried.Found("gcp-mapping-invalid") {
			valid[key] = source
		}
	}
	return valid
}

func mappingAbsentClaim() finding.Rule {
	return finding.Rule{
		Name: "gcp-mapping-absent-claim", Severity: finding.Error,
		Finds: "a mapping that reads, without `has()`, a claim that this identity does not have",
		Why:   "Google does not document what happens to the token then. `deploymentEnvironmentUuid` exists on deployment steps only.",
		Fix:   "Guard it: `has(assertion.x) ? assertion.x : 'none'`.",
	}
}

// attribute evaluates one expression of the mapping. Where the claims are nil, nothing is known of them.
func (p *providerJudgement) attribute(key string, assertion map[string]any, fix finding.Fix) attribute {
	const rule = "gcp-mapping-invalid"
	path, source := "attributeMapping."+key, p.file.AttributeMapping[key]
	invalid := func(format string, args ...any) attribute {
		p.Refuse(rule, path, "The mapping of "+key+" is not valid: "+fmt.Sprintf(format, args...)+".", fix)
		return attribute{}
	}
	if !mappable(key) {
		return invalid("the key is not google.subject, google.groups or attribute.NAME with at most %d of a-z, 0-9 and _", longestName)
	}
	if n := utf8.RuneCountInString(source); n > longestExpression {
		return invalid("the expression has %d characters, more than %d", n, longestExpression)
	}
	expression, err := p.Provider.mapping[key].Expression, p.Provider.mapping[key].err
	if errors.Is(err, cel.ErrForeign) { // Google took it when the provider was made
		p.Undecide("Undecided: the mapping of " + key + " uses a function or a syntax that is not known here.")
		return attribute{}
	}
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
	result := expression.Eval(map[string]any{"assertion": assertion}, p.unknownClaims()...)
	if result.Outcome == cel.Unknown && slices.ContainsFunc(got.reads, p.unknownField) {
		return got // it has a value, which is not known here
	}
	switch result.Outcome {
	case cel.Absent:
		p.Undecide(fmt.Sprintf("Undecided: the mapping of %s reads %s, which the token does not have, and Google does not say what follows.", key, result.Detail))
		if slices.Contains(got.reads, "assertion."+result.Detail) {
			fix = p.guarded(key, result.Detail)
		}
		p.Find(finding.Error, "gcp-mapping-absent-claim", path,
			fmt.Sprintf("The mapping of %s reads %s, which the token does not have, without asking with has().", key, result.Detail), fix)
		return got
	case cel.Unknown:
		p.Undecide("Undecided: the mapping of " + key + " " + result.Detail + ".")
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

func (p *providerJudgement) subject(value, path string, fix finding.Fix) {
	switch {
	case value == "":
		p.Undecide("Undecided: google.subject comes to nothing, and Google does not say what follows.")
	case len(value) > subjectSize:
		p.Refuse("gcp-mapping-invalid", path, fmt.Sprintf("The value of google.subject has %d bytes, more than %d.", len(value), subjectSize), fix)
	}
}

// guarded is the whole mapping with a claim of one expression asked for first.
func (p *providerJudgement) guarded(key, claim string) finding.Fix {
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
func (p *providerJudgement) mappingFix(mapping map[string]string) finding.Fix {
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

// mappable reports whether a mapping can have the key.
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

// unknownClaims are the fields of the assertion that are not known of the identity.
func (p *providerJudgement) unknownClaims() [][]string {
	var all [][]string
	for _, claim := range append(p.chosenClaims(), p.id.Unknown...) {
		all = append(all, []string{"assertion", claim})
	}
	return all
}

// chosenClaims are what the author of a pipeline chooses, where that is not known.
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
