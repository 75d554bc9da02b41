package app

import (
	"context"
	"encoding/json"
	"path/filepath"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/record"
	"bitbucket-oidc/internal/transport"
)

// records are those of one command, and where they go.
type records struct {
	*record.Journal // nil where they go nowhere
	sinks           record.Sinks
	console         *cli.Console
	see             sight
}

// begin opens the records of a command.
func begin(c *cli.Console, command string, v *config.Vars, token oidc.Token, asked config.Record, dir *handoff.Dir) records {
	r := records{console: c, sinks: sinks(asked, dir), see: newSight(v, token)}
	r.sinks.Trace = c.Debug
	if !r.sinks.Any() {
		return r
	}
	r.Journal = record.Begin(record.Facts{
		Command: command, Version: c.Version, Token: token,
		Step: record.Step{
			Workspace: v.Workspace, WorkspaceUUID: v.RepositoryOwner, Repository: v.Repository, RepositoryUUID: v.RepositoryUUID,
			PipelineUUID: v.PipelineUUID, StepUUID: v.StepUUID, Branch: v.Branch, Tag: v.Tag, PullRequest: v.PullRequest,
			Commit: v.Commit, BuildNumber: v.BuildNumber, Environment: v.Environment, Triggerer: v.Triggerer,
		},
		Input: func(o federation.Outcome) string {
			in := r.see(o.Target)[0]
			if o.Principal != "" {
				in.Credential = &guard.Credential{Principal: o.Principal, Account: o.Account, Expires: o.Expires}
			}
			data, _ := json.Marshal(in) // texts, numbers and times
			return string(data)
		},
	})
	return r
}

// sinks are the places that the variables name.
func sinks(asked config.Record, dir *handoff.Dir) record.Sinks {
	s := record.Sinks{Timeout: asked.Timeout}
	if asked.File != "" && dir != nil {
		clone, _ := dir.Place()
		if name, err := filepath.Rel(filepath.Clean(clone), asked.File); err == nil {
			s.File = &record.File{BuildDir: clone, Name: filepath.ToSlash(name), Own: dir.Own, Synced: asked.Required}
		}
	}
	if o := asked.OTLP; o != nil {
		s.OTLP = &record.OTLP{
			URL: o.URL, JSON: o.JSON, Gzip: o.Gzip, ServiceName: o.ServiceName, Attributes: o.Attributes,
			Client: transport.Config{RootCAs: o.Authorities},
		}
		for _, h := range o.Headers {
			s.OTLP.Headers = append(s.OTLP.Headers, record.Header(h))
		}
	}
	if asked.URL != "" {
		s.Webhook = &record.Webhook{URL: asked.URL, Format: asked.Format, Authorization: asked.Authorization}
	}
	if o := asked.S3; o != nil {
		s.S3 = &record.S3{
			Bucket: o.Bucket, Prefix: o.Prefix, Retention: o.Retention, Endpoint: o.Endpoint, FIPS: o.FIPS, DualStack: o.DualStack,
			Client: transport.Config{RootCAs: o.Authorities},
		}
	}
	return s
}

// check reports a place that cannot take records before anything is sent.
func (r records) check() error {
	if r.sinks.File == nil {
		return nil
	}
	return r.sinks.File.Check()
}

// deliver sends the records. If a place did not take them, that is an error if records are required, and a warning otherwise.
func (r records) deliver(ctx context.Context, grants []federation.Grant, required bool) error {
	if !r.sinks.Any() {
		return nil
	}
	var keys *federation.Keys
	for _, g := range grants {
		if g.Keys != nil {
			keys = g.Keys
		}
	}
	err := r.sinks.Deliver(ctx, r.Journal, keys)
	if required {
		return err
	}
	for _, failure := range hint.Failures(err) {
		r.console.Warn(failure.Error())
		for _, advice := range hint.All(failure) {
			r.console.Hint(advice)
		}
	}
	return nil
}

// judged notes what the files of guardrails said about the targets. The sources before known are already noted.
func (r records) judged(answer guard.Answer, targets []federation.Target, known int) {
	var said record.Guard
	for _, source := range answer.Sources[min(known, len(answer.Sources)):] {
		said.Files = append(said.Files, record.GuardFile(source))
	}
	for _, d := range answer.Decisions {
		t := targets[d.Input]
		said.Rules = append(said.Rules, record.Verdict{
			Backend: t.Backend, Name: t.Name, Rule: d.Rule, Outcome: d.Outcome, Message: d.Message,
			Refuses: d.Refuses && !answer.Sources[d.Source].Audit, SHA256: answer.Sources[d.Source].SHA256,
		})
	}
	r.Judged(said)
}

// judgedHere notes what the guardrails of variables said.
func (r records) judgedHere(verdicts []verdict) {
	var said record.Guard
	for _, v := range verdicts {
		noted := record.Verdict{Backend: v.backend, Name: v.name, Rule: v.rule, Outcome: "pass"}
		if v.err != nil {
			noted.Outcome, noted.Message, noted.Refuses = "fail", v.err.Error(), true
		}
		said.Rules = append(said.Rules, noted)
	}
	r.Judged(said)
}

// unanswered notes that guardrails could not be asked, which refuses every target.
func (r records) unanswered(targets []federation.Target, err error) {
	var said record.Guard
	for _, t := range targets {
		said.Rules = append(said.Rules, record.Verdict{
			Backend: t.Backend, Name: t.Name, Rule: "no-answer", Outcome: "error", Message: err.Error(), Refuses: true,
		})
	}
	r.Judged(said)
}
