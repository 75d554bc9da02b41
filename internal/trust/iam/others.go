package iam

import (
	"context"
	"slices"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// others are who else gets in, or may get in, through a role that lets the identity in. They are decided for everybody of the workspace,
// and not read off the text of the policy.
type others struct {
	reach        *policyReach
	environments []place
	foreign      []trust.Cell   // of repositories that the role's policy does not name
	named        [][]trust.Cell // of the other repositories that the role's policy names by their whole UUID, one list for each
}

// whoElse decides who else gets in.
func (j *roleJudgement) whoElse() *others {
	reach := newPolicyReach(context.Background(), j.role, bitbucket.Around(j.id))
	reach.brief = true
	repositories, environments := reach.places()
	own, environment := j.id.Claims.Repository(), j.id.Claims.Environment()

	foreign := []trust.Cell{reach.decide("", "", false), reach.decide("", "", true)}
	for _, e := range environments {
		if e.repository == "" && e.environment != environment {
			foreign = append(foreign, reach.decide("", e.environment, true))
		}
	}
	o := &others{reach: reach, environments: environments}
	for _, uuid := range repositories {
		if uuid == own || uuid == environment {
			continue
		}
		cells := []trust.Cell{reach.decide(uuid, "", false), reach.decide(uuid, "", true)}
		for _, e := range environments {
			if e.repository == uuid {
				cells = append(cells, reach.decide(uuid, e.environment, true))
			}
		}
		switch in := admitted(cells); {
		case !slices.Contains(reach.own, uuid): // only a resource control policy names it, which grants nothing
			foreign = append(foreign, cells...)
		case len(in) > 0:
			o.named = append(o.named, in)
		}
	}
	o.foreign = admitted(foreign)
	return o
}

// admitted are the cells of which somebody gets in or may get in, the certain ones first.
func admitted(cells []trust.Cell) []trust.Cell {
	in := slices.DeleteFunc(slices.Clone(cells), func(c trust.Cell) bool { return !c.Reach.Maybe })
	trust.Surest(in)
	return in
}

// letIn is the path of the statement that lets in the witness of a cell.
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
