package diagnosis

import (
	"cmp"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/oidc"
)

// Values that represent a step's claims in the advice of the tables. The braces are there so that a shell's words are quoted as they will be.
const (
	issuerHost    = "api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc"
	workspaceUUID = "WORKSPACE_UUID"
	repository    = "{REPOSITORY_UUID}"
	environment   = "{ENVIRONMENT_UUID}"
	step          = "{STEP_UUID}"
)

// Specimen are claims that represent the claims of a step, with or without a deployment.
func Specimen(deployed bool) oidc.Claims {
	c := oidc.Claims{
		Issuer: "https://" + issuerHost, Audience: []string{bitbucket.WorkspaceARI + workspaceUUID},
		WorkspaceUUID: "{" + workspaceUUID + "}", RepositoryUUID: repository, StepUUID: step,
	}
	if deployed {
		c.DeploymentEnvironmentUUID = environment
	}
	c.Subject = bitbucket.Subject(c) + ":" + step
	return c
}

// instead replaces the specimen's claims with the claims of a step.
func instead(c oidc.Claims) *strings.Replacer {
	c = c.Pasteable()
	_, last, _ := bitbucket.CutLast(c.Subject)
	workspace := cmp.Or(c.WorkspaceUUID, "{"+strings.TrimPrefix(bitbucket.WorkspaceAudience(c), bitbucket.WorkspaceARI)+"}")
	return strings.NewReplacer(
		"{"+workspaceUUID+"}", workspace,
		issuerHost, strings.TrimPrefix(c.Issuer, "https://"), bitbucket.WorkspaceARI+workspaceUUID, bitbucket.WorkspaceAudience(c),
		repository, c.Repository(), environment, c.Environment(), step, last,
	)
}
