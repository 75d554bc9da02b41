package wif

import (
	"context"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

// Reach finds who gets in through the provider, whatever policies grant.
func (p *Provider) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	u.Issuer = p.issuerFor(u)
	o := trust.Options{Now: u.Now}
	return trust.Classes{
		Universe: u, Texts: p.texts(), Audiences: p.audiences(), Chosen: p.readsChosen(), Inside: p.inside(nil),
		Judge: func(id bitbucket.Identity, chosen bool) (trust.Verdict, string) {
			return because(p.judgeAs(id, o, true, chosen).verdict())
		},
	}.Cells(ctx)
}

// Reach finds who gets in through the policy and its provider. Without one provider it is not decided.
func (p *Policy) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	o := trust.Options{Now: u.Now}
	c := trust.Classes{Universe: u, Texts: p.values()}
	c.Judge = func(id bitbucket.Identity, chosen bool) (trust.Verdict, string) {
		r := p.judgeAs(id, o, true, chosen).Result(trust.GCPPolicy, "", "")
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

// because is a verdict with what it depends on, to go on another sentence.
func because(v trust.Verdict, reason string) (trust.Verdict, string) {
	return v, strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(reason, "The provider is undecided: "), "Undecided: "), ".")
}

// issuerFor is the issuer of a universe's tokens, or else the provider's.
func (p *Provider) issuerFor(u bitbucket.Universe) string {
	switch {
	case u.Issuer != "":
		return u.Issuer
	case p.file.OIDC != nil && p.file.OIDC.IssuerURI != "":
		return p.file.OIDC.IssuerURI
	}
	return anyIssuer
}

// expressions are the provider's, as far as they compile.
func (p *Provider) expressions() map[string]compiled {
	all := map[string]compiled{}
	for key, c := range p.mapping {
		if c.done && c.err == nil {
			all[key] = c
		}
	}
	if strings.TrimSpace(p.file.AttributeCondition) != "" && p.condition.done && p.condition.err == nil {
		all["condition"] = p.condition
	}
	return all
}

// texts are what the provider compares claims with.
func (p *Provider) texts() []string {
	var all []string
	for _, c := range p.expressions() {
		all = append(all, c.Texts()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// audiences are those that the provider allows, and what it compares the claim with.
func (p *Provider) audiences() []string {
	if p.file.OIDC == nil {
		return nil
	}
	var compared []string
	if p.mentions("aud") {
		compared = p.texts()
	}
	if len(p.file.OIDC.AllowedAudiences) == 0 { // the provider's own name
		name := p.name.known()
		return append(compared, "https://iam.googleapis.com/"+setup.GCPPoolName(name.project, name.pool)+"/providers/"+name.provider)
	}
	return append(compared, p.file.OIDC.AllowedAudiences...)
}

// readsChosen reports whether an expression can depend on the branch or on the audiences.
func (p *Provider) readsChosen() bool { return p.mentions("branchName") || p.mentions("aud") }

// mentions reports whether an expression can depend on a claim.
func (p *Provider) mentions(claim string) bool {
	for key, c := range p.expressions() {
		source := p.file.AttributeMapping[key]
		if key == "condition" {
			source = p.file.AttributeCondition
		}
		if strings.Contains(source, claim) || slices.Contains(c.Reads(), "assertion") {
			return true
		}
	}
	return false
}

// inside names what in the provider tells parts of UUIDs apart: in the condition, and in the mapping of what it reads or of what a
// policy's members are about.
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
		return slices.ContainsFunc(all[field].readsOf(), func(f string) bool { return f == "assertion" || claim(f) })
	}
	if condition, ok := all["condition"]; ok {
		if function := condition.LooksInside(mapped); function != "" {
			return function
		}
		keys = append(slices.Clone(keys), condition.Reads()...)
	}
	for _, key := range keys {
		if c, ok := all[key]; ok {
			if function := c.LooksInside(claim); function != "" {
				return function
			}
		}
	}
	return ""
}

// keys are the keys of the mapping that the policy's members are about.
func (p *Policy) keys() []string {
	var all []string
	for _, b := range p.file.Bindings {
		if b.grants() == trust.Deny {
			continue
		}
		for _, text := range b.Members {
			if m := parseMember(text); m.key != "" && !slices.Contains(all, m.key) {
				all = append(all, m.key)
			}
		}
	}
	return all
}

// values are those of the policy's members, as many as can be tried.
func (p *Policy) values() []string {
	const most = 1000
	var all []string
	for _, b := range p.file.Bindings {
		if b.grants() == trust.Deny {
			continue
		}
		for _, text := range b.Members {
			if m := parseMember(text); m.value != "" && len(all) < most {
				all = append(all, m.value)
			}
		}
	}
	return all
}

// others finds who else gets in through a provider that lets the identity in, where no policy of the call decides it with the provider.
func (p *providerJudgement) others(r *trust.Findings) {
	fix := p.name.command("update-oidc", "--attribute-condition="+shell.Word(setup.GCPConditionFor(p.id.Claims)))
	u := bitbucket.Around(p.id)
	u.Now = p.now
	cells := p.Provider.Reach(context.Background(), u)
	r.FindOthers("gcp-admits-others", "gcp-names-others", cells, p.id, "attributeCondition", fix)
	p.wayRound(r, cells, "attributeCondition", fix)
}

// wayRound finds a condition that names the identity's environment and lets in other steps of the repository all the same.
func (p *providerJudgement) wayRound(r *trust.Findings, cells []trust.Cell, path string, fix finding.Fix) {
	environment := p.id.Claims.Environment()
	if environment == "" || r.Found("gcp-admits-others") || !strings.Contains(p.file.AttributeCondition, strings.Trim(environment, "{}")) {
		return
	}
	round := slices.DeleteFunc(slices.Clone(cells), func(c trust.Cell) bool {
		return c.Repository != p.id.Claims.Repository() || c.Environment != "" || !c.Reach.Maybe
	})
	if len(round) == 0 || len(round) == 2 && round[0].Usual.All && round[1].Usual.All {
		return // nobody, or the whole repository on purpose
	}
	trust.Surest(round)
	r.FindWith(round[0].Reach.Witness, finding.Error, "gcp-admits-others", path,
		"The condition names the environment "+environment+", and other steps of the repository get in all the same"+trust.SuchAs(round[0])+".", fix)
}
