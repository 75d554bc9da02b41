package wif

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func conditionMissing() finding.Rule {
	return finding.Rule{
		Name: "gcp-condition-missing", Anyone: true, Severity: finding.Error,
		Finds: "no attribute condition, and no binding narrower than the pool",
		Why: "Every repository of the workspace gets a Google identity. Google requires a condition only for some issuers, " +
			"and Bitbucket is not among them.",
		Fix: "Set `--attribute-condition=\"assertion.repositoryUuid == '{…}'\"`.",
	}
}

// noCondition finds a provider without a condition if no policy of the call narrows who gets in.
func (p *providerJudgement) noCondition(f *trust.Findings) {
	if p.hasCondition() || p.narrowed {
		return
	}
	f.Find(finding.Error, "gcp-condition-missing", "attributeCondition",
		"There is no attribute condition and no binding narrower than the pool: every repository of the workspace gets in.", p.conditionFix())
}
