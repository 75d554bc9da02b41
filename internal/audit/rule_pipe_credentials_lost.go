package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func pipeCredentialsLost() finding.Rule {
	return finding.Rule{
		Name: "pipe-credentials-lost", Severity: finding.Error,
		Finds: "a client of a cloud after a pipe that signed in only for itself",
		Why:   "The credentials of a pipe are lost when its container ends. The client finds none.",
		Fix:   "Sign in with this pipe, which leaves files for later commands, or call the client inside the pipe.",
	}
}

func (r *run) pipeCredentialsLost() {
	clients := map[string][]string{
		"aws":     {"aws", "terraform", "tofu", "cdk", "sam", "kubectl", "helm", "eksctl"},
		"gcp":     {"gcloud", "gsutil", "bq", "terraform", "tofu", "kubectl", "helm"},
		"unknown": {"aws", "gcloud"},
	}
	for _, s := range r.steps {
		if !s.Token || len(s.Clouds) == 0 || len(s.opaque) > 0 ||
			slices.ContainsFunc(s.Clouds, func(c Cloud) bool { return c.How != "atlassian-pipe" && c.How != "other-pipe" || c.Cloud == "conjur" }) {
			continue
		}
		first := s.Clouds[0]
		by := slices.IndexFunc(s.pipes, func(p pipe) bool { return p.place == place{Line: first.Line, Column: first.column} })
		names, known := clients[first.Cloud]
		if !known || by < 0 {
			continue
		}
		i := slices.IndexFunc(s.commands, func(c command) bool {
			return c.item > s.pipes[by].item && slices.Contains(names, unwrapped(c.Command).Name()) && !strings.Contains(c.Text(), "--version")
		})
		if i < 0 {
			continue
		}
		c := s.commands[i]
		r.report(report{rule: pipeCredentialsLost(), at: c.at, about: c.Text(), steps: []*step{s},
			message: fmt.Sprintf("%s has no credentials: the credentials of the pipe were lost with its container.", unwrapped(c.Command).Name())})
	}
}
