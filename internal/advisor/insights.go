package advisor

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/insights"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/visible"
)

// insightsConfig is the commit to publish on. Missing variables are a problem of a.
func insightsConfig(c *cli.Console, a *cli.Arguments) insights.Config {
	v := a.Vars
	var missing []string
	for name, value := range map[string]string{
		"BITBUCKET_WORKSPACE": v.Workspace, "BITBUCKET_REPO_SLUG": v.RepositorySlug, "BITBUCKET_COMMIT": v.Commit,
	} {
		if value == "" {
			missing = append(missing, name)
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		a.Add(hint.New("--insights: "+strings.Join(missing, ", ")+": not set", "run it in a step, where Bitbucket sets them, or leave --insights out"))
	}
	return insights.Config{
		Workspace: v.Workspace, Repository: v.RepositorySlug, Commit: v.Commit, Trace: c.Debug,
		InPipe: v.Given("BITBUCKET_PIPE_STORAGE_DIR") || v.Given("BITBUCKET_PIPE_SHARED_STORAGE_DIR"),
	}
}

// publish publishes a report on the commit. A failure is a warning: the report itself is already written. It ends early enough for
// the command to end with its own status.
func publish(ctx context.Context, c *cli.Console, to insights.Config, v *config.Vars, r *report.Report) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*4/5)
		defer cancel()
	}
	annotations := annotations(r, v.CloneDir())
	details := strings.TrimLeft(r.Summary(), "✔✖ ") + "."
	if more := len(annotations) - insights.MostAnnotations; more > 0 {
		details += fmt.Sprintf(" Bitbucket takes %d annotations: the gravest are shown, and %d are left out.", insights.MostAnnotations, more)
		c.Warn(fmt.Sprintf("Code Insights: the %d gravest findings are published, and %d are left out", insights.MostAnnotations, more))
	}
	count := map[finding.Severity]int{}
	for _, f := range r.Findings() {
		count[f.Severity]++
	}
	err := insights.Publish(ctx, to, insights.Report{
		ID: "bitbucket-oidc-" + r.Command, Title: "bitbucket-oidc " + r.Command, Details: details, Passed: !r.Failed(),
		Data: []insights.Datum{
			{Title: "Errors", Value: count[finding.Error]}, {Title: "Warnings", Value: count[finding.Warning]},
			{Title: "Notes", Value: count[finding.Note]}, {Title: "Accepted", Value: len(r.Accepted)},
		},
	}, annotations)
	if err != nil {
		c.Warn("Code Insights: " + err.Error())
	}
}

// annotations are the findings, the gravest first, and behind them those that are accepted.
func annotations(r *report.Report, cloneDir string) []insights.Annotation {
	findings := r.Findings()
	slices.SortStableFunc(findings, report.Graver)
	var all []insights.Annotation
	seen := map[string]int{}
	add := func(f finding.Finding, ignored bool) {
		severity := map[finding.Severity]string{finding.Error: "HIGH", finding.Warning: "MEDIUM", finding.Note: "LOW"}[f.Severity]
		if slices.ContainsFunc(r.Rules, func(rule finding.Rule) bool { return rule.Name == f.Rule && rule.Anyone }) && f.Severity == finding.Error {
			severity = "CRITICAL"
		}
		one := insights.Annotation{
			ID: f.ID, Path: repositoryPath(f.File, cloneDir), Line: f.Line, Severity: severity, Ignored: ignored, Link: f.Docs,
			Summary: visible.Text(f.Rule + ": " + f.Message), Details: visible.Lines(f.Fix.Text),
		}
		if seen[f.ID]++; seen[f.ID] > 1 {
			one.ID = fmt.Sprintf("%s-%d", f.ID, seen[f.ID])
		}
		all = append(all, one)
	}
	for _, f := range findings {
		add(f, false)
	}
	for _, a := range r.Accepted {
		add(a.Finding, true)
	}
	return all
}

// repositoryPath is a file's path in the repository, or empty for a file that lies elsewhere. Steps run in the root of the repository.
func repositoryPath(file, cloneDir string) string {
	if file == "-" {
		return ""
	}
	if filepath.IsAbs(file) {
		inside, err := filepath.Rel(cmp.Or(cloneDir, "/"), file)
		if err != nil || cloneDir == "" {
			return ""
		}
		file = inside
	}
	if !filepath.IsLocal(file) {
		return ""
	}
	return filepath.ToSlash(filepath.Clean(file))
}
