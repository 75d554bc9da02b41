package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/guard/rules"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/pipelines"
)

type auditPipeline struct {
	Content   string     `json:"content,omitempty" jsonschema:"the text of bitbucket-pipelines.yml, at most 262144 bytes"`
	Paths     []string   `json:"paths,omitempty" jsonschema:"files below --root: without content the pipelines file, and then further documents"`
	Identity  *identity  `json:"identity,omitempty" jsonschema:"the repository, for documents and map: workspace, workspace_uuid and repository_uuid"`
	Documents []document `json:"documents,omitempty" jsonschema:"trust configurations to judge each step against, and guardrails that the logins must meet"`
	Map       string     `json:"map,omitempty" jsonschema:"the access map's text, or its path below --root: finds what steps ask for and the map does not grant"`
}

// An audited file is what its steps may become and what is wrong with that.
type audited struct {
	File string `json:"file"`
	counts
	Accepted int         `json:"accepted" jsonschema:"findings that a comment of the file accepts"`
	Findings []stepFound `json:"findings"`
	Steps    []step      `json:"steps"`
	More     int         `json:"more,omitempty" jsonschema:"findings and steps left out to keep the answer short"`
}

type stepFound struct {
	found
	Steps []string `json:"steps" jsonschema:"the paths of the steps that share the finding"`
}

type step struct {
	Path        string   `json:"path"`
	Line        int      `json:"line"`
	Name        string   `json:"name"`
	Token       bool     `json:"token" jsonschema:"whether the step gets an identity token"`
	Subject     string   `json:"subject" jsonschema:"the form of the token's subject; empty without a token"`
	Environment string   `json:"environment" jsonschema:"the deployment environment's name; empty without one"`
	Branches    []string `json:"branches"`
	Clouds      []signIn `json:"clouds" jsonschema:"the sign-ins of the step that the file shows"`
	Verdicts    []judged `json:"verdicts" jsonschema:"what the given documents decide about the step"`
}

type signIn struct {
	Cloud string `json:"cloud"`
	How   string `json:"how"`
	Who   string `json:"who" jsonschema:"role, account or identity as written; empty where the file does not say"`
	Line  int    `json:"line"`
}

type judged struct {
	Document string `json:"document"`
	Name     string `json:"name"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason"`
}

func (a *audited) parts() int { return len(a.Findings) + len(a.Steps) }

// keep keeps findings before steps, and the gravest of them.
func (a *audited) keep(n int) {
	slices.SortStableFunc(a.Findings, func(x, y stepFound) int { return x.graver(y.found) })
	a.More += a.parts() - n
	a.Findings = a.Findings[:min(n, len(a.Findings))]
	a.Steps = a.Steps[:n-len(a.Findings)]
}

func (s server) addAuditPipeline() {
	add(s, "audit_pipeline", "Which identity each step has, and what is wrong with that",
		"Judges bitbucket-pipelines.yml: which steps have an identity token, with which subject, which role of which cloud each asks for, and what is wrong with that.",
		s.auditPipeline)
}

func (s server) auditPipeline(ctx context.Context, in auditPipeline) (audited, error) {
	name, data, further, err := s.pipeline(in)
	if err != nil {
		return audited{}, err
	}
	all, err := s.judges(ctx, in, further)
	if err != nil {
		return audited{}, err
	}
	result := audit.File(name, data, audit.Options{Judges: all})
	out := audited{File: name, Accepted: len(result.Accepted), Findings: []stepFound{}, Steps: []step{}}
	for _, f := range result.Findings {
		out.counts.add(f.Severity)
		out.Findings = append(out.Findings, stepFound{foundOf(f.Finding), few(f.Steps)})
	}
	for _, one := range result.Steps {
		out.Steps = append(out.Steps, stepOf(one))
	}
	return out, nil
}

// pipeline is the pipelines file that a call gives, and the paths of documents beside it.
func (s server) pipeline(in auditPipeline) (name string, data []byte, further []string, err error) {
	switch {
	case in.Content != "":
		data, err = content(pipelines.FileName, in.Content)
		return pipelines.FileName, data, in.Paths, err
	case len(in.Paths) > 0:
		data, err = s.file(in.Paths[0])
		return in.Paths[0], data, in.Paths[1:], err
	}
	return "", nil, nil, hint.New("no pipelines file", "give its text as content, or its path below --root as the first item of paths")
}

// judges are the documents that steps are judged against: trust documents, a map, guardrails.
func (s server) judges(ctx context.Context, in auditPipeline, paths []string) ([]audit.Judge, error) {
	r, err := repositoryOf(in.Identity)
	if err != nil {
		return nil, err
	}
	var all []audit.Judge
	var granted *access.Map
	if in.Map != "" {
		if granted, err = s.accessMap(in.Map); err != nil {
			return nil, err
		}
		r.Workspace, r.WorkspaceUUID = cmp.Or(r.Workspace, granted.Workspace.Slug), cmp.Or(r.WorkspaceUUID, granted.Workspace.UUID)
		if r.RepositoryUUID == "" && len(granted.Repositories) == 1 {
			r.RepositoryUUID = granted.Repositories[0].UUID
		}
		r.Environments = judges.Environments(granted, r.RepositoryUUID)
	}
	if len(in.Documents)+len(paths) > 0 {
		if all, err = s.documentJudges(ctx, r, in.Documents, paths); err != nil {
			return nil, err
		}
	}
	if granted != nil {
		all = append(all, judges.AccessMap{Repository: r, Map: granted})
	}
	return all, nil
}

// documentJudges are what documents are judged by. Guardrails are recognised by their content, as every document is.
func (s server) documentJudges(ctx context.Context, r judges.Repository, documents []document, paths []string) ([]audit.Judge, error) {
	files, err := s.documents(documents, paths)
	if err != nil {
		return nil, err
	}
	var all []audit.Judge
	var errs []error
	trusts := judges.Documents{Repository: r}
	for _, file := range files {
		if !rules.Recognise(file.Data) {
			trusts.Files = append(trusts.Files, file)
			continue
		}
		guard, err := rules.Read(file.Name, file.Data)
		all, errs = append(all, judges.Guardrails{Repository: r, Context: ctx, File: guard}), append(errs, err)
	}
	if len(trusts.Files) > 0 {
		all = append(all, trusts)
		if err := trusts.Readable(); err != nil {
			errs = append(errs, unknown(err))
		}
	}
	return all, errors.Join(errs...)
}

// repositoryOf is the repository that a call names, as far as it does.
func repositoryOf(i *identity) (judges.Repository, error) {
	r := judges.Repository{Environments: map[string]string{}, Now: time.Now()}
	if i != nil {
		r.Workspace, r.WorkspaceUUID, r.RepositoryUUID = i.Workspace, i.WorkspaceUUID, i.RepositoryUUID
		if i.Claims != nil {
			id, err := i.read(r.Now)
			if err != nil {
				return r, err
			}
			slug := strings.TrimSuffix(strings.TrimPrefix(id.Claims.Issuer, "https://api.bitbucket.org/2.0/workspaces/"), "/pipelines-config/identity/oidc")
			r.Workspace, r.WorkspaceUUID, r.RepositoryUUID = slug, id.Claims.WorkspaceUUID, id.Claims.Repository()
		}
	}
	return r, nil
}

// mostOfStep bounds the sign-ins and the verdicts of a step in an answer.
const mostOfStep = 8

func stepOf(s audit.Step) step {
	one := step{
		Path: short(s.Path, 300), Line: s.Line, Name: short(s.Name, 200), Token: s.Token, Branches: few(s.Branches),
		Clouds: []signIn{}, Verdicts: []judged{},
	}
	if s.Subject != nil {
		one.Subject = short(*s.Subject, 300)
	}
	if s.Environment != nil {
		one.Environment = short(*s.Environment, 200)
	}
	for _, c := range s.Clouds[:min(mostOfStep, len(s.Clouds))] {
		in := signIn{Cloud: c.Cloud, How: c.How, Line: c.Line}
		if c.Who != nil {
			in.Who = short(*c.Who, 300)
		}
		one.Clouds = append(one.Clouds, in)
	}
	for _, v := range s.Verdicts[:min(mostOfStep, len(s.Verdicts))] {
		one.Verdicts = append(one.Verdicts, judged{short(v.Document, 300), short(v.Name, 200), v.Verdict, short(v.Reason, 600)})
	}
	return one
}

// few is a list with at most ten items, and then how many more there are.
func few(all []string) []string {
	const most = 10
	kept := append([]string{}, all[:min(most, len(all))]...)
	for i := range kept {
		kept[i] = short(kept[i], 600)
	}
	if len(all) > most {
		kept = append(kept, fmt.Sprintf("and %d more", len(all)-most))
	}
	return kept
}
