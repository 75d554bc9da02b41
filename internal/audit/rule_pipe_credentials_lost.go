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
		cloud, line := s.Clouds[0].Cloud, s.Clouds[0].Line
		names, known := clients[cloud]
		i := slices.IndexFunc(s.commands, func(c command) bool {
			return c.at.Line > line && slices.Contains(names, c.Name()) && !strings.Contains(c.Text(), "--version")
		})
		if !known || i < 0 {
			continue
		}
		c := s.commands[i]
		r.report(report{rule: pipeCredentialsLost(), at: c.at, about: c.Text(), steps: []*step{s},
			message: fmt.Sprintf("%s has no credentials: the credentials of the pipe were lost with its container.", c.Name())})
	}
}
