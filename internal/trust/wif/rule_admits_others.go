package wif

import (
	"context"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func admitsOthers() finding.Rule {
	return finding.Rule{
		Name: "gcp-admits-others", Anyone: true, Severity: finding.Error,
		Finds: "another repository's identity gets in, with a witness",
		Why: "Provider and policy let this identity in. They are also judged for everybody else in the workspace: other repositories, " +
			"their deployments, other branches, and steps that ask for more audiences. At least one of these gets in, or is not certainly refused. " +
			"A condition can mention the repository and still let in others. The finding has the claims of such a step, and `check --claims` confirms it.",
		Fix: "Compare the repository's UUID as a whole: `assertion.repositoryUuid == '{2e9e429c-…}'`.",
	}
}

// others finds who else gets in through a provider that lets the identity in. It is for a provider without a policy in the call.
func (p *providerJudgement) others() {
	u := bitbucket.Around(p.id)
	u.Now = p.now
	cells := p.Reach(context.Background(), u)
	p.FindOthers("gcp-admits-others", "gcp-names-others", cells, p.id, "attributeCondition", p.conditionFix())
	p.wayRound(&p.Findings, cells, "attributeCondition", p.conditionFix())
}

// others finds who else gets in through a policy that lets the identity in, and its provider.
func (p *policyJudgement) others(o trust.Options) {
	path, _, _ := strings.Cut(p.granted, ".members")
	fix := finding.Fix{Kind: finding.Shell, Text: p.fix(member{})}
	u := bitbucket.Around(p.id)
	u.Now = o.Now
	cells := p.Reach(context.Background(), u)
	p.FindOthers("gcp-admits-others", "gcp-names-others", cells, p.id, path, fix)
	p.through.wayRound(&p.Findings, cells, path, fix)
}

// wayRound finds a condition that names the environment of the identity, and still lets in other steps of the repository.
func (p *providerJudgement) wayRound(f *trust.Findings, cells []trust.Cell, path string, fix finding.Fix) {
	environment := p.id.Claims.Environment()
	if environment == "" || f.Found("gcp-admits-others") || !strings.Contains(p.file.AttributeCondition, strings.Trim(environment, "{}")) {
		return
	}
	round := slices.DeleteFunc(slices.Clone(cells), func(c trust.Cell) bool {
		return c.Repository != p.id.Claims.Repository() || c.Environment != "" || !c.Reach.Maybe
	})
	if len(round) == 0 || len(round) == 2 && round[0].Usual.All && round[1].Usual.All {
		return // nobody, or the whole repository on purpose
	}
	trust.Surest(round)
	message := "The condition names the environment " + environment + ", and other steps of the repository still get in" + trust.SuchAs(round[0]) + "."
	f.FindWith(round[0].Reach.Witness, finding.Error, "gcp-admits-others", path, message, fix)
}
