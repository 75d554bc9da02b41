package wif

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func conditionUnscoped() finding.Rule {
	return finding.Rule{
		Name: "gcp-condition-unscoped", Severity: finding.Warning,
		Finds: "a condition that reads neither the repository's nor the environment's UUID, while a binding relies on it",
		Why:   "The binding lets in every identity that the provider lets in, and the provider does not distinguish repositories.",
		Fix:   "Add `assertion.repositoryUuid == '{…}'` to the condition, or bind an attribute that has the UUID of the repository.",
	}
}

// unscoped finds a condition that does not distinguish repositories, while a policy of the call does not either.
func (p *providerJudgement) unscoped(f *trust.Findings) {
	message := ""
	switch {
	case !p.relied || p.scoped:
		return
	case p.hasCondition():
		message = "The condition reads neither the repository's nor the environment's UUID, while a binding relies on the condition to distinguish repositories."
	case p.narrowed: // else gcp-condition-missing says it
		message = "There is no attribute condition, while a binding admits more than one repository."
	default:
		return
	}
	f.Find(finding.Warning, "gcp-condition-unscoped", "attributeCondition", message, p.conditionFix())
}
