package advisor

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/trust"
)

func auditCommand() cli.Command {
	return cli.Command{Name: "audit", Usage: auditUsage, Options: auditOptions(), Run: runAudit}
}

func auditOptions() []cli.Option {
	const bare, isUUID = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "a UUID, with or without braces"
	const uuid = `(?i)(` + bare + `|\{` + bare + `\})`
	return append([]cli.Option{
		{Name: "document", Value: "FILE", Many: true, File: true, Usage: "a trust configuration, as for check: judge each step against it"},
		{Name: "map", Value: "FILE", File: true, Usage: "an access map: report what steps ask for and the map does not grant"},
		{Name: "guard", Value: "FILE", File: true, Usage: "guardrails: report which of them refuse a step"},
		{Name: "repository", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "the repository's UUID; without it BITBUCKET_REPO_UUID"},
		{Name: "workspace", Value: "SLUG", Pattern: `[0-9A-Za-z_-]+`, Expected: "the workspace as in bitbucket.org/WORKSPACE", Usage: "the workspace; without it BITBUCKET_WORKSPACE"},
		{Name: "workspace-uuid", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "its UUID; without it BITBUCKET_REPO_OWNER_UUID"},
		{Name: "environment", Value: "NAME=UUID", Many: true, Pattern: `(?s).+=` + uuid, Expected: "NAME=UUID", Usage: "the UUID of a deployment environment"},
		{Name: "our-pipe", Value: "NAME", Many: true, Usage: "this pipe under another name, such as acme/sign-in"},
		{Name: "now", Value: "TIME", Usage: "the time to judge at, such as 2026-11-22T23:00:00Z; without it: now"},
	}, outputOptions()...)
}

func auditUsage(program string) string {
	return "Usage: " + program + ` audit [FLAG…] [FILE…]

Judges bitbucket-pipelines.yml, offline: which identity each step has, which role of which cloud it asks for, and what is
wrong with that. Without a file it is bitbucket-pipelines.yml of the working directory; - is standard input. Flags:

` + cli.Describe(auditOptions()) + `
A comment on the line of a finding, or on the line above, accepts it: # bitbucket-oidc: ignore[RULE] reason
Exit status: 0 nothing of severity error; 1 otherwise; 2 a file cannot be read, or the command line is wrong. It sends
only what --insights publishes, and needs no token. Variables: BITBUCKET_WORKSPACE, BITBUCKET_REPO_OWNER_UUID, BITBUCKET_REPO_UUID,
NO_COLOR, TIMEOUT, DEBUG.
`
}

// audited is a file with what was found in it.
type audited struct {
	audit.Result
	data []byte
}

func runAudit(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	if len(a.Files) == 0 {
		a.Files = []string{pipelines.FileName}
	}
	var files []audited
	for _, name := range a.Files {
		data, err := cli.ReadFile(ctx, name)
		if !errors.Is(err, cli.ErrEmpty) { // an empty file can be read: it is no pipelines file
			a.Add(hint.With(err, "name a bitbucket-pipelines.yml, or - for standard input"))
		}
		files = append(files, audited{audit.Result{File: name}, data})
	}
	now := a.Moment("now", time.Now())
	options := audit.Options{OurPipes: a.Texts("our-pipe"), Judges: auditJudges(ctx, a, now)}
	out := readOutput(ctx, c, a)
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	r, err := judging(ctx, func() (*report.Report, error) {
		for i := range files {
			files[i].Result = audit.File(files[i].File, files[i].data, options)
		}
		return auditReport(files, c.Version, now), nil
	})
	if err != nil {
		return c.Fail(err, cli.Misused)
	}
	return out.put(ctx, c, r)
}

// auditJudges reads what steps are judged against beside the file.
func auditJudges(ctx context.Context, a *cli.Arguments, now time.Time) []audit.Judge {
	var granted *access.Map
	if name := a.Text("map"); name != "" {
		granted, _ = readMapFile(ctx, a, name)
	}
	r := auditedRepository(a, granted, now)
	var all []audit.Judge
	if documents := readDocuments(ctx, a); len(documents) > 0 {
		d := judges.Documents{Repository: r, Files: documents}
		if err := d.Readable(); err != nil && a.Err() == nil {
			a.Add(unknownKinds(err))
		}
		all = append(all, d)
	}
	if granted != nil {
		all = append(all, judges.AccessMap{Repository: r, Map: granted})
	}
	if name := a.Text("guard"); name != "" {
		if file := readGuardrails(ctx, a, name); file != nil {
			all = append(all, judges.Guardrails{Repository: r, Context: ctx, File: file})
		}
	}
	return all
}

// auditedRepository is what is known of the repository with the steps: by flags, else by the step's variables, else by the map.
func auditedRepository(a *cli.Arguments, granted *access.Map, now time.Time) judges.Repository {
	r := judges.Repository{
		Workspace: cmp.Or(a.Text("workspace"), a.Vars.Workspace), WorkspaceUUID: cmp.Or(a.Text("workspace-uuid"), a.Vars.RepositoryOwner),
		RepositoryUUID: cmp.Or(a.Text("repository"), a.Vars.RepositoryUUID), Environments: map[string]string{}, Now: now,
	}
	if granted != nil {
		r.Workspace, r.WorkspaceUUID = cmp.Or(r.Workspace, granted.Workspace.Slug), cmp.Or(r.WorkspaceUUID, granted.Workspace.UUID)
		if r.RepositoryUUID == "" && len(granted.Repositories) == 1 {
			r.RepositoryUUID = granted.Repositories[0].UUID
		}
		r.Environments = judges.Environments(granted, r.RepositoryUUID)
	}
	for _, pair := range a.Texts("environment") {
		if at := strings.LastIndexByte(pair, '='); at > 0 {
			r.Environments[strings.ToLower(pair[:at])] = pair[at+1:]
		}
	}
	return r
}

// readDocuments reads the files of --document.
func readDocuments(ctx context.Context, a *cli.Arguments) []trust.File {
	var documents []trust.File
	for _, name := range a.Texts("document") {
		data, err := cli.ReadFile(ctx, name)
		a.Add(err)
		documents = append(documents, trust.File{Name: name, Data: data})
	}
	return documents
}
