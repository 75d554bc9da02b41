package config

import (
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// A Step is what Bitbucket's variables say about the step. The author of the step can overwrite them: they name and describe, and prove
// nothing.
type Step struct {
	Workspace       string `envconfig:"BITBUCKET_WORKSPACE"`
	RepositoryOwner string `envconfig:"BITBUCKET_REPO_OWNER_UUID"`
	RepositoryUUID  string `envconfig:"BITBUCKET_REPO_UUID"`
	RepositorySlug  string `envconfig:"BITBUCKET_REPO_SLUG"`
	Repository      string `envconfig:"BITBUCKET_REPO_FULL_NAME"` // or else of the workspace and the slug
	BuildNumber     string `envconfig:"BITBUCKET_BUILD_NUMBER"`
	Branch          string `envconfig:"BITBUCKET_BRANCH"`
	Tag             string `envconfig:"BITBUCKET_TAG"`
	PullRequest     string `envconfig:"BITBUCKET_PR_ID"`
	Commit          string `envconfig:"BITBUCKET_COMMIT"`
	Environment     string `envconfig:"BITBUCKET_DEPLOYMENT_ENVIRONMENT"`
	Triggerer       string `envconfig:"BITBUCKET_STEP_TRIGGERER_UUID"`
	StepUUID        string `envconfig:"BITBUCKET_STEP_UUID"`
	PipelineUUID    string `envconfig:"BITBUCKET_PIPELINE_UUID"`
}

// readStep reads the variables of the process. envconfig fills in the text and does nothing else: its own parsing quotes values in
// its errors and stops at the first problem.
func readStep() (Step, error) {
	var s Step
	if err := envconfig.Process("", &s); err != nil {
		return Step{}, err // cannot be: every field is a string
	}
	fields := reflect.ValueOf(&s).Elem()
	for i := range fields.NumField() {
		fields.Field(i).SetString(strings.TrimSpace(fields.Field(i).String()))
	}
	if s.Repository == "" && s.Workspace != "" && s.RepositorySlug != "" {
		s.Repository = s.Workspace + "/" + s.RepositorySlug
	}
	return s, nil
}
