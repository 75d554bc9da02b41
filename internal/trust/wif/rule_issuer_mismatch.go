package wif

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
)

func issuerMismatch() finding.Rule {
	return finding.Rule{
		Name: "gcp-issuer-mismatch", Severity: finding.Error,
		Finds: "another issuer than the token's",
		Why: "Google compares the token's issuer with the provider's issuer as text. The workspace's slug is part of the issuer, " +
			"which therefore changes when the workspace is renamed. A slash at the end makes a difference.",
		Fix: "Set the issuer to the token's, with `--issuer-uri`.",
	}
}

// issuer compares the issuers as text.
func (p *providerJudgement) issuer() {
	const rule = "gcp-issuer-mismatch"
	switch want := p.id.Claims.Issuer; {
	case p.file.OIDC == nil:
		p.Refuse(rule, "oidc", "The provider is not for OIDC tokens.", p.name.command("create-oidc", setup.GCPProviderFlags(p.id.Claims)...))
	case p.file.OIDC.IssuerURI != want:
		p.Refuse(rule, "oidc.issuerUri", fmt.Sprintf("The provider's issuer is %q and the token's issuer is %q.", p.file.OIDC.IssuerURI, want),
			p.name.command("update-oidc", "--issuer-uri="+shell.Word(want)))
	case p.file.OIDC.JwksJSON != "":
		p.Undecide("Undecided: Google uses the keys in oidc.jwksJson instead of the issuer's keys, and it is not known who has them.")
	}
}
