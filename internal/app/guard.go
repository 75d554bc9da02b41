package app

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/pipelines"
)

// guardCommand prints what the guardrails of a step would see. The other verbs of guard are bitbucket-oidc's, and so is its help.
func guardCommand() cli.Command {
	return cli.Command{
		Name:  "guard",
		Usage: func(string) string { return "" },
		Takes: func(args []string) bool { return slices.Equal(args, []string{"input"}) },
		Run: func(_ context.Context, c *cli.Console, a *cli.Arguments) int {
			token := a.Vars.Token()
			set := backends.Load(a.Vars, token)
			if err := a.Err(); err != nil {
				return c.Fail(err, cli.Misused)
			}
			made := set.Make(func(file string) string { return file }, c.Debug)
			c.Lines(document.Indented(struct {
				Inputs []guard.Input `json:"inputs"`
			}{newSight(a.Vars, token)(federation.Targets(made)...)}))
			return cli.Done
		},
	}
}

// guardrails hold a login to its rules: the rules of variables and the rules of files.
type guardrails struct {
	variables builtin
	config    guard.Config
	inputs    []guard.Input
	answer    guard.Answer
}

// newGuardrails are the guardrails that the variables and the image name.
func newGuardrails(v *config.Vars, accounts []string, ask Ask) *guardrails {
	named := v.Guard()
	return &guardrails{variables: builtin{accounts, v.MinimumLifetime()}, config: guard.Config{
		Clone: named.Clone, File: named.File, Map: named.Map, Baked: named.Baked,
		Run: func(ctx context.Context, input []byte, most int) ([]byte, error) {
			return ask(ctx, cli.Advisor, []string{"guard", "decide"}, input, most)
		},
	}}
}

// before judges what a login is about to ask for. An error means that the login must not go on.
func (g *guardrails) before(ctx context.Context, c *cli.Console, recs records, targets []federation.Target) error {
	verdicts := g.variables.before(targets)
	recs.judgedHere(verdicts)
	err := refusals(verdicts)
	if g.config.On() {
		g.inputs = recs.see(targets...)
		answer, failed := guard.Ask(ctx, g.config, g.inputs)
		switch {
		case errors.Is(failed, guard.ErrMistakes):
			return failed
		case failed != nil:
			recs.unanswered(targets, failed)
		default:
			g.answer = answer
			recs.judged(answer, targets, 0)
			failed = g.say(c, answer)
		}
		err = errors.Join(err, failed)
	}
	if err != nil {
		recs.Denied(targets)
	}
	return err
}

// An exchange is the result of asking for the targets.
type exchange struct {
	grants   []federation.Grant
	outcomes []federation.Outcome
	err      error
}

// after judges what the clouds handed out, before anything is written, and records the outcome of each target. With an error nothing of
// it must be used.
func (g *guardrails) after(ctx context.Context, c *cli.Console, recs records, got exchange) error {
	verdicts := g.variables.answered(got.outcomes)
	got = got.without(verdicts)
	err := errors.Join(got.err, refusals(verdicts))
	var targets []federation.Target
	for _, o := range got.outcomes {
		targets = append(targets, o.Target)
	}
	if err == nil {
		short := g.variables.lasts(got.grants)
		verdicts = append(verdicts, short...)
		err = errors.Join(refusals(short), g.judgeAnswers(ctx, c, recs, targets, got.outcomes))
	}
	recs.judgedHere(verdicts)
	recs.Exchanged(got.outcomes, err != nil)
	if err != nil {
		recs.Denied(targets)
	}
	return err
}

// judgeAnswers asks the rules that need the credential.
func (g *guardrails) judgeAnswers(
	ctx context.Context, c *cli.Console, recs records, targets []federation.Target, outcomes []federation.Outcome,
) error {
	if !g.answer.After {
		return nil
	}
	for i, o := range outcomes {
		g.inputs[i].Credential = &guard.Credential{Principal: o.Principal, Account: o.Account, Expires: o.Expires}
		g.inputs[i].Now = time.Now().UTC()
	}
	answer, err := guard.AskAgain(ctx, g.config, g.inputs, g.answer)
	if err != nil {
		recs.unanswered(targets, err)
		return err
	}
	recs.judged(answer, targets, len(answer.Sources))
	return g.say(c, answer)
}

// say prints the decisions that do not refuse, and returns those that refuse.
func (g *guardrails) say(c *cli.Console, answer guard.Answer) error {
	for _, w := range answer.Warnings(g.inputs) {
		c.Warn(w)
	}
	return answer.Refusals(g.inputs)
}

// A sight is what rules see about each target of a step.
type sight func(targets ...federation.Target) []guard.Input

// newSight is the sight of a step. The checkout is read once, when a rule needs it.
func newSight(v *config.Vars, token oidc.Token) sight {
	checkout := sync.OnceValue(func() guard.Pipeline {
		if images, ok := pipelines.Images(cmp.Or(v.CloneDir(), ".")); ok {
			return guard.Pipeline{Images: images, File: pipelines.FileName}
		}
		return guard.Pipeline{Images: []string{}}
	})
	return func(targets ...federation.Target) []guard.Input {
		in := guard.Input{
			Now: time.Now().UTC(), Claims: claimsOf(token.Claims), Pipeline: checkout(),
			Env: guard.Env{
				Repository: v.Repository, Branch: v.Branch, Tag: v.Tag, PullRequest: v.PullRequest, Environment: v.Environment,
				Commit: v.Commit, Build: v.BuildNumber, Triggerer: v.Triggerer,
			},
		}
		all := []guard.Input{}
		for _, t := range targets {
			in.Request = requestOf(t)
			all = append(all, in)
		}
		return all
	}
}

func claimsOf(c oidc.Claims) guard.Claims {
	return guard.Claims{
		Issuer: c.Issuer, Audience: c.Audience, Subject: c.Subject, Expires: c.Expires.UTC(), IssuedAt: c.IssuedAt.UTC(),
		WorkspaceUUID: c.WorkspaceUUID, RepositoryUUID: c.Repository(), DeploymentEnvironmentUUID: c.Environment(),
		BranchName: c.BranchName, PipelineUUID: c.PipelineUUID, StepUUID: c.StepUUID,
	}
}

// requestOf is a target under the names that rules use. Rules do not see the text of an inline session policy, which may be long, but
// only that there is one.
func requestOf(t federation.Target) guard.Request {
	r := guard.Request{
		Backend: t.Backend, Name: t.Name, Target: t.Identity, Account: t.Account, Project: t.Project, Duration: t.Lifetime,
		Resource: t.Resource, Policies: []string{}, Chain: append([]string{}, t.Via...), Audience: t.Audience, Scopes: append([]string{}, t.Scopes...),
	}
	if t.Backend == "vault" {
		r.Target = path.Base(t.Identity) // the role's name; the server and the mount are in the resource
	}
	for _, p := range t.Policies {
		if !strings.HasPrefix(p, "arn:") {
			p = "inline"
		}
		r.Policies = append(r.Policies, p)
	}
	return r
}
