package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func admitsOthers() finding.Rule {
	return finding.Rule{
		Name: "aws-admits-others", Anyone: true, Severity: finding.Error,
		Finds: "another repository's identity gets in, with a witness",
		Why:   "The document lets this identity in and is judged for everybody else of the workspace too: other repositories, their deployments, and steps that ask for more audiences. One of them gets in, or is not certainly refused. The finding has the claims of one, which `check --claims` confirms.",
		Fix:   "Let the Allow itself name the repository: `{repository}:*` under StringLike on `:sub`.",
	}
}

func namesOthers() finding.Rule {
	return finding.Rule{
		Name: "aws-names-others", Severity: finding.Note,
		Finds: "another repository that the document names by its whole UUID",
		Why:   "A role can be shared on purpose. Everybody who may push to the other repository has the role too.",
		Fix:   "Remove the value, or use a role for each repository.",
	}
}

// othersRules find who else gets in through a role that lets the identity in. They decide it; the rules that read the text only say
// what is wrong with it.
func (j *roleJudgement) othersRules() {
	a := newPolicyReach(context.Background(), j.role, bitbucket.Around(j.id))
	a.brief = true
	named, environments := a.places()
	own, environment := j.id.Claims.Repository(), j.id.Claims.Environment()

	foreign := []trust.Cell{a.decide("", "", false), a.decide("", "", true)}
	for _, e := range environments {
		if e.repository == "" && e.environment != environment {
			foreign = append(foreign, a.decide("", e.environment, true))
		}
	}
	var notes [][]trust.Cell
	for _, uuid := range named {
		if uuid == own || uuid == environment {
			continue
		}
		cells := []trust.Cell{a.decide(uuid, "", false), a.decide(uuid, "", true)}
		for _, e := range environments {
			if e.repository == uuid {
				cells = append(cells, a.decide(uuid, e.environment, true))
			}
		}
		if slices.Contains(a.own, uuid) {
			notes = append(notes, cells)
		} else {
			foreign = append(foreign, cells...) // a control that leaves it out does not grant it this role
		}
	}
	if in := admitted(foreign); len(in) > 0 {
		j.FindWith(in[0].Reach.Witness, finding.Error, "aws-admits-others", j.letIn(in[0]), trust.Admits(in), j.statementFix())
	}
	for _, cells := range notes {
		if in := admitted(cells); len(in) > 0 {
			j.FindWith(in[0].Reach.Witness, finding.Note, "aws-names-others", j.letIn(in[0]), trust.Names(in), j.statementFix())
		}
	}
	if len(admitted(foreign)) == 0 {
		j.ownRule(a, environments)
	}
}

// admitted are the cells of which somebody gets in or may get in, the certain ones first.
func admitted(cells []trust.Cell) []trust.Cell {
	in := slices.DeleteFunc(cells, func(c trust.Cell) bool { return !c.Reach.Maybe })
	slices.SortStableFunc(in, func(a, b trust.Cell) int {
		return map[bool]int{true: -1, false: 1}[a.Reach.Some] - map[bool]int{true: -1, false: 1}[b.Reach.Some]
	})
	return in
}

// letIn is the path of the statement that lets a cell's witness in.
func (j *roleJudgement) letIn(c trust.Cell) string {
	if c.Reach.Witness == nil {
		return "Statement"
	}
	other := roleJudgement{id: *c.Reach.Witness, request: newRequest(c.Reach.Witness.Claims), role: j.role}
	for _, s := range j.role.policy.statements {
		other.statements = append(other.statements, other.statement(s))
	}
	s, _ := strongest(other.statements, "Allow")
	return s.path
}

// ownRule finds other steps of the identity's own repository. They are a note, but where the policy names the identity's environment and
// something leaves a way round it.
func (j *roleJudgement) ownRule(a *policyReach, environments []place) {
	own, environment := j.id.Claims.Repository(), j.id.Claims.Environment()
	if !bitbucket.IsBraced(own) || strings.ToLower(own) != own {
		return
	}
	cells := []trust.Cell{a.decide(own, "", false), a.decide(own, "", true)}
	if environment == "" {
		cells = cells[1:]
	}
	whole := !slices.ContainsFunc(cells, func(c trust.Cell) bool { return !c.Reach.All })
	round := admitted(slices.Clone(cells)) // beside the environments that the policy names
	for _, e := range environments {
		if e.environment != environment && (e.repository == "" || e.repository == own) {
			cells = append(cells, a.decide(own, e.environment, true))
		}
	}
	in := admitted(cells)
	if len(in) == 0 {
		return
	}
	path := j.letIn(in[0])
	if environment != "" && len(round) > 0 && j.namesEnvironment("", environment) && !j.grantsRepository(a, own, environment, whole) {
		grave := finding.Error
		j.FindWith(in[0].Reach.Witness, grave, "aws-repository-wide", path,
			fmt.Sprintf("The policy names the environment %s, and other steps of the repository get in all the same%s.", environment, trust.SuchAs(in[0])), j.subjectFix(false))
		return
	}
	if !j.Found("aws-repository-wide") {
		j.FindWith(in[0].Reach.Witness, finding.Note, "aws-repository-wide", path, fmt.Sprintf("Other steps of the repository get in too%s.", trust.SuchAs(in[0])), j.subjectFix(false))
	}
}

// namesEnvironment reports whether a condition on the subject has the environment's UUID, in a statement with the effect, or in any.
func (j *roleJudgement) namesEnvironment(effect, environment string) bool {
	return slices.ContainsFunc(j.statements, func(s judgedStatement) bool {
		return (effect == "" || s.effect == effect) && s.names != trust.No && slices.ContainsFunc(s.conditions, func(c judgedCondition) bool {
			return c.lower == j.key("sub") && c.names(environment)
		})
	})
}

func (c judgedCondition) names(uuid string) bool {
	return slices.ContainsFunc(c.values, func(v string) bool { return strings.Contains(strings.ToLower(v), strings.Trim(uuid, "{}")) })
}

// grantsRepository reports whether the policy means the whole repository: it lets all of it in whatever the audiences, or it has a value
// {repository}:* that no other condition of the statement and no Deny narrows to the environment.
func (j *roleJudgement) grantsRepository(a *policyReach, own, environment string, whole bool) bool {
	if whole && a.usual == len(a.sieves) {
		return true
	}
	if whole {
		usual := *a
		usual.sieves, usual.audiences = a.sieves[:a.usual], a.audiences[:a.usual]
		if usual.decide(own, "", false).Reach.All && usual.decide(own, "", true).Reach.All {
			return true
		}
	}
	if j.namesEnvironment("Deny", environment) {
		return false
	}
	return slices.ContainsFunc(j.statements, func(s judgedStatement) bool {
		if s.effect != "Allow" || s.names != trust.Yes || s.covers != trust.Yes {
			return false
		}
		for i, c := range s.conditions {
			grants := c.lower == j.key("sub") && c.like && !c.negated && slices.ContainsFunc(c.values, func(v string) bool {
				return wildcards(v).matchesWholeRepository(own)
			})
			if grants && !slices.ContainsFunc(slices.Delete(slices.Clone(s.conditions), i, i+1), func(o judgedCondition) bool { return o.names(environment) }) {
				return true
			}
		}
		return false
	})
}

func notJudged() finding.Rule {
	return finding.Rule{
		Name: "aws-not-judged", Severity: finding.Note,
		Finds: "a statement for other principals",
		Why:   "Accounts, services and other identity providers are not Bitbucket's identities. It is not judged whom they let in, so exit status 0 says nothing about them.",
		Fix:   "Use a role for each kind of principal.",
	}
}

// worldRule finds a statement for everyone, and notes statements for other principals.
func (j *roleJudgement) worldRule(s judgedStatement) {
	path := s.path + ".Principal"
	switch {
	case s.effect != "Allow":
	case s.principals.everyone && (s.covers == trust.Yes || s.forTheWorld()):
		j.Find(finding.Error, "aws-principal", path, `The principal {"AWS": "*"} is everyone, in AWS and perhaps out of it.`, j.principalFix())
	case s.principals.others || s.principals.everyone || slices.ContainsFunc(s.principals.federated, j.another):
		j.Find(finding.Note, "aws-not-judged", path, "The statement lets in other principals than the token's provider, and whom it lets in of those is not judged.",
			finding.Fix{Kind: finding.Advice, Text: "review by hand whom the statement lets in"})
	}
}

// another reports whether a provider is of another issuer than the token's.
func (j *roleJudgement) another(name string) bool {
	p, ok := parseProviderARN(name)
	return !ok || p.path != j.request.issuer
}

// forTheWorld reports whether no condition narrows whom a statement is about.
func (s judgedStatement) forTheWorld() bool {
	return len(s.actions) > 0 && !slices.ContainsFunc(s.statement.conditions, func(c condition) bool {
		return !c.negated && !c.ifExists && !c.null && c.set != forAllValues && len(c.values) > 0 && c.lower != "aws:securetransport" &&
			!slices.ContainsFunc(c.values, func(v string) bool {
				return c.like && strings.HasPrefix(c.lower, "aws:") && matchesEverything(v) || strings.HasSuffix(v, "/0")
			})
	})
}
