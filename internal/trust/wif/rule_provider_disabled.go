package wif

import (
	"time"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
)

func providerDisabled() finding.Rule {
	return finding.Rule{
		Name: "gcp-provider-disabled", Severity: finding.Error,
		Finds: "a provider that is disabled, deleted or expired",
		Why:   "Google accepts no token through such a provider.",
		Fix:   "Enable it with `gcloud iam workload-identity-pools providers update-oidc --no-disabled`, or undelete it.",
	}
}

// state finds a provider that accepts no token at all.
func (p *providerJudgement) state() {
	const rule = "gcp-provider-disabled"
	if p.pool != "" {
		n := p.name.known()
		enable := setup.GCPPoolEnable(setup.GCPPoolName(n.project, n.pool), p.pool)
		p.Refuse(rule, "name", "The pool of the provider is "+p.pool+".", finding.Fix{Kind: finding.Shell, Text: enable})
	}
	switch f := p.file; {
	case f.State == "DELETED":
		p.Refuse(rule, "state", "The provider is deleted.", p.name.command("undelete"))
	case f.State != "" && f.State != "ACTIVE":
		p.Undecide("Undecided: the state of the provider is neither ACTIVE nor DELETED.")
	}
	if p.file.Disabled {
		p.Refuse(rule, "disabled", "The provider is disabled.", p.name.command("update-oidc", "--no-disabled"))
	}
	if t := p.file.ExpireTime; t != nil && !p.now.Before(*t) {
		p.Refuse(rule, "expireTime", "The provider expired at "+t.Format(time.RFC3339)+".",
			p.name.command("create-oidc", setup.GCPProviderFlags(p.id.Claims)...))
	}
}
