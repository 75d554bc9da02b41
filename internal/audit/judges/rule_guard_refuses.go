package judges

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/guard/rules"
	"bitbucket-oidc/internal/pattern"
)

func guardRefuses() finding.Rule {
	return finding.Rule{
		Name: "guard-refuses", Severity: finding.Error,
		Finds: "a step that a guardrail refuses at login",
		Why:   "The login fails before anything is sent.",
		Fix:   "Do what the guardrail's own fix says.",
	}
}

// Guardrails judges which rules would refuse the login of a step.
type Guardrails struct {
	Repository
	Context context.Context // bounds the evaluation
	File    *rules.File
}

var _ audit.Judge = Guardrails{}

// Rules are the rules about guardrails.
func (g Guardrails) Rules() []finding.Rule { return []finding.Rule{guardRefuses()} }

// Judge finds the rules that refuse. A rule that reads what is not known here, and one that warns, finds nothing.
func (g Guardrails) Judge(steps []*audit.Step) []audit.Judgement {
	if g.File.Audit {
		return nil
	}
	var all []audit.Judgement
	for _, s := range steps {
		if s.Environment != nil && !s.Deploys {
			continue
		}
		members, _ := g.members(s)
		for _, a := range s.Asks() {
			if strings.Contains(*a.Who, "$") {
				continue
			}
			var told []string
			for _, m := range members {
				for _, d := range g.File.Judge(g.Context, g.input(s, m, a)) {
					if d.Outcome != rules.Fail || d.Action != rules.Deny || g.unknown(d.Detail) || slices.Contains(told, d.Rule.Name) {
						continue
					}
					if len(s.Branches) == 0 && strings.Contains(d.Detail, "branch") {
						continue // of a tag it is not confirmed which branch the token names
					}
					told = append(told, d.Rule.Name)
					where := ""
					if m.branch == madeUpBranch {
						where = " on other branches than those that the rule names"
						if !strings.Contains(d.Detail, "branch") {
							where = ""
						}
					}
					all = append(all, audit.Judgement{
						Rule: guardRefuses(), Steps: []*audit.Step{s}, About: d.Rule.Name + "\x00" + *a.Who,
						Message: fmt.Sprintf("The guardrail %s refuses %s%s: %s", d.Rule.Name, *a.Who, where, sentence(d.Rule.Message)),
						Fix:     finding.Fix{Kind: finding.Advice, Text: d.Rule.Fix},
					})
				}
			}
		}
	}
	return all
}

// notHere are fields that no pipelines file shows.
var notHere = pattern.New(`env\.(?:repository|commit|build|triggerer)|claims\.(?:pipelineUuid|stepUuid|subject|expires|issuedAt)|request\.(?:policies|chain|duration|audience|scopes)|pipeline\.`)

// unknown reports whether a decision rests on a value that is not known here.
func (g Guardrails) unknown(detail string) bool {
	if notHere.MatchString(detail) {
		return true
	}
	return !g.known() && regexp.MustCompile(`claims\.(?:repositoryUuid|workspaceUuid|issuer|audience)`).MatchString(detail) ||
		strings.Contains(detail, madeUp(1)) || strings.Contains(detail, "deploymentEnvironmentUuid == '{")
}

func (g Guardrails) input(s *audit.Step, m member, a audit.Ask) guard.Input {
	in := guard.Input{Now: g.Now}
	if id, err := g.identity(s, m); err == nil && g.known() {
		in.Claims.Issuer, in.Claims.Audience, in.Claims.Subject = id.Claims.Issuer, id.Claims.Audience, id.Claims.Subject
	}
	in.Claims.WorkspaceUUID, in.Claims.RepositoryUUID = braced(g.WorkspaceUUID), braced(g.RepositoryUUID)
	in.Claims.DeploymentEnvironmentUUID, in.Claims.BranchName = braced(m.environment), m.branch
	in.Request = guard.Request{Backend: a.Cloud, Name: "default", Target: *a.Who, Duration: time.Hour}
	if t, ok := access.ParseTarget(*a.Who); ok {
		in.Request.Account, in.Request.Project = t.Account, t.Project
	}
	in.Env = guard.Env{Branch: m.branch, Environment: deref(s.Environment)}
	if s.PullRequest {
		in.Env.PullRequest = "1"
	}
	if s.Kind == "tags" {
		in.Env.Tag = s.Pattern
	}
	return in
}
