package wif

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func mappingAbsentClaim() finding.Rule {
	return finding.Rule{
		Name: "gcp-mapping-absent-claim", Severity: finding.Error,
		Finds: "a mapping that reads, without `has()`, a claim that this identity does not have",
		Why:   "Google does not document what happens to the token then. `deploymentEnvironmentUuid` exists on deployment steps only.",
		Fix:   "Guard it: `has(assertion.x) ? assertion.x : 'none'`.",
	}
}

// absentClaim finds an attribute that reads a claim that the identity does not have.
func (p *providerJudgement) absentClaim(v attributeValue, path string, fix finding.Fix) {
	if p.bare {
		return
	}
	if slices.Contains(v.reads(), "assertion."+v.absent) {
		fix = p.guarded(v.key, v.absent)
	}
	p.Find(finding.Error, "gcp-mapping-absent-claim", path,
		fmt.Sprintf("The mapping of %s reads %s, which the token does not have, and does not check it with has().", v.key, v.absent), fix)
}

// guarded is the command that sets the whole mapping, with one expression that asks for a claim first.
func (p *providerJudgement) guarded(key, claim string) finding.Fix {
	mapping := maps.Clone(p.file.AttributeMapping)
	source, none := mapping[key], "'none'"
	if strings.Contains(source, "?") {
		source = "(" + source + ")"
	}
	if key == "google.groups" {
		none = "[]"
	}
	mapping[key] = fmt.Sprintf("has(assertion.%s) ? %s : %s", claim, source, none)
	return p.mappingFix(mapping)
}
