package wif

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

func audienceMismatch() finding.Rule {
	return finding.Rule{
		Name: "gcp-audience-mismatch", Severity: finding.Error,
		Finds: "the token's audiences are not among the allowed ones",
		Why: "One of the token's audiences must be allowed. Without allowed audiences Google expects the provider's own resource name, " +
			"which is not in Bitbucket's tokens unless the step asks for it.",
		Fix: "Allow the workspace's audience, with `--allowed-audiences`. It has no braces.",
	}
}

// audience compares the audiences: one of the token's audiences must be allowed.
func (p *providerJudgement) audience() {
	if p.file.OIDC == nil || slices.ContainsFunc(p.id.Claims.Audience, p.allows) {
		return
	}
	allowed := p.file.OIDC.AllowedAudiences
	wanted := trust.Quoted(allowed)
	if len(allowed) == 0 {
		wanted = "only its own name"
	}
	list := append(slices.Clone(allowed), bitbucket.WorkspaceAudience(p.id.Claims))
	p.Refuse("gcp-audience-mismatch", "oidc.allowedAudiences",
		fmt.Sprintf("The provider allows %s and the token's audience is %s.", wanted, trust.Quoted(p.id.Claims.Audience)),
		p.name.command("update-oidc", "--allowed-audiences="+shell.Word(strings.Join(list, ","))))
}

// allows reports whether the provider allows an audience. Without a list it allows only its own name.
func (p *Provider) allows(audience string) bool {
	name, named := audienceName(audience)
	if len(p.file.OIDC.AllowedAudiences) == 0 {
		return named && name.fits(p.name)
	}
	return slices.ContainsFunc(p.file.OIDC.AllowedAudiences, func(allowed string) bool {
		other, otherNamed := audienceName(allowed)
		return allowed == audience || named && otherNamed && name.fits(other) &&
			strings.HasPrefix(allowed, "https:") == strings.HasPrefix(audience, "https:")
	})
}

// audienceName reads the default audience, which is the name of the provider, with or without https:.
func audienceName(audience string) (poolPath, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(audience, "https:"), "//iam.googleapis.com/")
	name, behind, named := parsePoolPath(rest)
	return name, ok && named && behind == "" && name.provider != ""
}
