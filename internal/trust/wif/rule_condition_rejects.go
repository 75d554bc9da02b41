package wif

import (
	"fmt"

	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
)

func conditionRejects() finding.Rule {
	return finding.Rule{
		Name: "gcp-condition-rejects", Severity: finding.Error,
		Finds: "a condition that is false for this identity, or does not evaluate",
		Why:   "Google refuses the token. A condition that reads a missing claim does not evaluate, and Google refuses the token then too.",
		Fix:   "Correct the value, braces included; guard claims that may be absent with `has()`.",
	}
}

// conditioned evaluates the attribute condition.
func (p *providerJudgement) conditioned() {
	c := p.condition
	switch {
	case c.foreign: // Google accepted it when the provider was made
		p.Undecide("Undecided: the condition uses a function or a syntax that is not known here.")
		return
	case c.problem != "":
		p.reject("The condition is not valid: " + c.problem + ".")
		return
	case c.compiled == nil:
		return
	}
	p.confirm("attributeCondition", *c.compiled)
	p.scoped = p.tellsRepositories(c.reads())
	known, unknown := p.variables()
	switch result := c.compiled.Eval(known, unknown...); result.Outcome {
	case cel.Unknown:
		p.Undecide("Undecided: the condition " + result.Detail + ".")
	case cel.Absent:
		p.reject("The condition does not evaluate: it reads " + result.Detail + ", which the token does not have.")
	case cel.Failed:
		p.reject("The condition does not evaluate: " + result.Detail + ".")
	case cel.Known:
		if holds, ok := result.Value.Value().(bool); !ok {
			p.reject(fmt.Sprintf("The value of the condition has the type %s and must be true or false.", result.Kind()))
		} else if !holds {
			p.reject(fmt.Sprintf("The condition %q is false for the token%s.", c.source, p.having(c.reads())))
		}
	}
}

func (p *providerJudgement) reject(message string) {
	p.Refuse("gcp-condition-rejects", "attributeCondition", message, p.conditionFix())
}
