package wif

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func bindingProjectID() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-project-id", Severity: finding.Error,
		Finds: "a project's id where its number belongs",
		Why:   "Members name the pool by the project's number. With the id the binding lets in nobody.",
		Fix:   "Write the number: `gcloud projects describe PROJECT --format='value(projectNumber)'`.",
	}
}

func (c memberCase) projectID() string {
	if c.numbered() {
		return ""
	}
	return fmt.Sprintf("The member has the project's id %q instead of the project's number, so it never matches.", c.project)
}
