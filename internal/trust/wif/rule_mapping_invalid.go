package wif

import (
	"fmt"

	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
)

func mappingInvalid() finding.Rule {
	return finding.Rule{
		Name: "gcp-mapping-invalid", Severity: finding.Error,
		Finds: "a mapping that cannot work",
		Why: "A mapping reads only `assertion`. Each value is a string; the value of `google.groups` is a list of strings. " +
			"The mapping must set `google.subject`, to at most 127 bytes; all values together have at most 8 KB.",
		Fix: "Replace the expression; see `pipe explain`.",
	}
}

// mapping evaluates every expression of the mapping.
func (p *providerJudgement) mapping() {
	const rule, path = "gcp-mapping-invalid", "attributeMapping"
	if _, ok := p.file.AttributeMapping["google.subject"]; !ok {
		p.Refuse(rule, path, "The mapping has no google.subject, which an OIDC provider must map.", p.mappingFix(setup.GCPAttributes(p.id.Claims)))
	}
	if custom := p.file.customAttributes(); custom > mostAttributes {
		p.Refuse(rule, path, fmt.Sprintf("The mapping has %d custom attributes, more than %d.", custom, mostAttributes),
			p.mappingFix(setup.GCPAttributes(p.id.Claims)))
		return
	}
	assertion, ok := cel.Claims(p.id.All)
	if !ok {
		p.Undecide(fmt.Sprintf("Undecided: the claims are larger than %d bytes, the most that are evaluated here.", cel.ClaimSize))
	}
	total, sound := 0, true
	for _, a := range p.attributes {
		v := p.evaluate(a, assertion)
		p.values[a.key] = v
		sound = sound && v.problem == "" && v.absent == ""
		for _, value := range v.values {
			total += len(value)
		}
	}
	fix := finding.Fix{}
	if !p.bare && (!sound || total > mappedSize) {
		fix = p.mended()
	}
	for _, a := range p.attributes {
		p.attribute(p.values[a.key], fix)
	}
	if total > mappedSize {
		p.Refuse(rule, path, fmt.Sprintf("The mapped attributes have %d bytes together, more than %d.", total, mappedSize), fix)
	}
}

// attribute finds what is wrong with one attribute.
func (p *providerJudgement) attribute(v attributeValue, fix finding.Fix) {
	path := "attributeMapping." + v.key
	if v.compiled != nil {
		p.confirm(path, *v.compiled)
	}
	switch {
	case v.problem != "":
		p.Refuse("gcp-mapping-invalid", path, "The mapping of "+v.key+" is not valid: "+v.problem+".", fix)
	case v.doubt != "":
		p.Undecide(v.doubt)
	}
	if v.absent != "" {
		p.absentClaim(v, path, fix)
	}
}
