package wif

import (
	"context"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// Reach finds who gets in through the provider, without regard to policies.
func (p *Provider) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	u.Issuer = p.issuerFor(u)
	o := trust.Options{Now: u.Now}
	return trust.Classes{
		Universe: u, Texts: p.texts(), Audiences: p.audiences(), Chosen: p.readsChosen(), Inside: p.inside(nil),
		Judge: func(id bitbucket.Identity, chosen bool) (trust.Verdict, string) {
			return because(p.judgeAs(id, o, mode{bare: true, chosen: chosen}).verdict())
		},
	}.Cells(ctx)
}

// Reach finds who gets in through the policy and its provider. Without exactly one provider it is undecided.
func (p *Policy) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	o := trust.Options{Now: u.Now}
	c := trust.Classes{Universe: u, Texts: p.values()}
	c.Judge = func(id bitbucket.Identity, chosen bool) (trust.Verdict, string) {
		r := p.judgeAs(id, o, mode{bare: true, chosen: chosen}).Result(trust.GCPPolicy, "", "")
		return because(r.Verdict, r.Reason)
	}
	if provider := p.provider; provider != nil {
		c.Universe.Issuer = provider.issuerFor(u)
		c.Texts = append(c.Texts, provider.texts()...)
		c.Audiences, c.Chosen, c.Inside = provider.audiences(), provider.readsChosen(), provider.inside(p.keys())
	} else if u.Issuer == "" {
		c.Universe.Issuer = anyIssuer
	}
	return c.Cells(ctx)
}

// anyIssuer stands for the issuer that no document names.
const anyIssuer = "https://api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc"

// because is a verdict with its reason as something that a sentence can depend on.
func because(v trust.Verdict, reason string) (trust.Verdict, string) {
	return v, "this: " + strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(reason, "The provider is undecided: "), "Undecided: "), ".")
}

// issuerFor is the issuer of a universe's tokens, or else the issuer of the provider.
func (p *Provider) issuerFor(u bitbucket.Universe) string {
	switch {
	case u.Issuer != "":
		return u.Issuer
	case p.file.OIDC != nil && p.file.OIDC.IssuerURI != "":
		return p.file.OIDC.IssuerURI
	}
	return anyIssuer
}

// expressions are the expressions of the provider that can be evaluated, by their keys in the mapping; the key of the condition is empty.
func (p *Provider) expressions() map[string]expression {
	all := map[string]expression{"": p.condition}
	for _, a := range p.attributes {
		all[a.key] = a.expression
	}
	maps.DeleteFunc(all, func(_ string, e expression) bool { return e.compiled == nil })
	return all
}

// texts are the texts that the provider compares claims with.
func (p *Provider) texts() []string {
	var all []string
	for _, e := range p.expressions() {
		all = append(all, e.compiled.Texts()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// audiences are the audiences that the provider allows, and the texts that it compares the claim with.
func (p *Provider) audiences() []string {
	if p.file.OIDC == nil {
		return nil
	}
	var compared []string
	if p.mentions("aud") {
		compared = p.texts()
	}
	if len(p.file.OIDC.AllowedAudiences) == 0 { // the name of the provider
		name := p.name.known()
		return append(compared, "https://iam.googleapis.com/"+setup.GCPPoolName(name.project, name.pool)+"/providers/"+name.provider)
	}
	return append(compared, p.file.OIDC.AllowedAudiences...)
}

// readsChosen reports whether an expression can depend on the branch or on the audiences.
func (p *Provider) readsChosen() bool { return p.mentions("branchName") || p.mentions("aud") }

// mentions reports whether an expression can depend on a claim.
func (p *Provider) mentions(claim string) bool {
	for _, e := range p.expressions() {
		if strings.Contains(e.source, claim) || slices.Contains(e.reads(), "assertion") {
			return true
		}
	}
	return false
}

// inside names a function with which the provider looks inside UUIDs: in the condition, or in the mapping of an attribute that the
// condition or a member of a policy is about.
func (p *Provider) inside(keys []string) string {
	claim := func(field string) bool {
		switch field {
		case "assertion.repositoryUuid", "assertion.deploymentEnvironmentUuid", "assertion.sub", "assertion.stepUuid", "assertion.pipelineUuid":
			return true
		}
		return false
	}
	all := p.expressions()
	mapped := func(field string) bool {
		if strings.HasPrefix(field, "assertion.") {
			return claim(field)
		}
		return slices.ContainsFunc(all[field].reads(), func(f string) bool { return f == "assertion" || claim(f) })
	}
	if condition, ok := all[""]; ok {
		if function := condition.compiled.LooksInside(mapped); function != "" {
			return function
		}
		keys = append(slices.Clone(keys), condition.reads()...)
	}
	for _, key := range keys {
		if e, ok := all[key]; ok {
			if function := e.compiled.LooksInside(claim); function != "" {
				return function
			}
		}
	}
	return ""
}

// keys are the keys of the mapping that the policy's members are about.
func (p *Policy) keys() []string {
	var all []string
	for _, m := range p.granting() {
		if m.key != "" && !slices.Contains(all, m.key) {
			all = append(all, m.key)
		}
	}
	return all
}

// values are the values of the policy's members, as many as can be tried.
func (p *Policy) values() []string {
	const most = 1000
	var all []string
	for _, m := range p.granting() {
		if m.value != "" && len(all) < most {
			all = append(all, m.value)
		}
	}
	return all
}
