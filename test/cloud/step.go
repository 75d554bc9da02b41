package cloud

import (
	"strings"
	"time"
)

// A Step is a running Pipelines step, as Bitbucket describes it in the step's token.
//
// UUIDs carry braces everywhere but in the audience. [Bitbucket, Integrate Pipelines with resource servers using OIDC]
type Step struct {
	WorkspaceUUID   string
	RepositoryUUID  string
	EnvironmentUUID string // empty unless the step has `deployment:`
	PipelineUUID    string
	StepUUID        string
	Branch          string

	Audiences []string // custom ones, `oidc: {audiences: […]}`; they come after the workspace's own

	Issued  time.Time
	Expires time.Time
}

// Claims are what Bitbucket puts into the token of this step, under the name of the issuer.
func (s Step) Claims(issuer string) map[string]any {
	claims := map[string]any{
		"iss":            issuer,
		"sub":            s.Subject(),
		"aud":            s.audience(),
		"iat":            s.Issued.Unix(),
		"exp":            s.Expires.Unix(),
		"workspaceUuid":  s.WorkspaceUUID,
		"repositoryUuid": s.RepositoryUUID,
		"pipelineUuid":   s.PipelineUUID,
		"stepUuid":       s.StepUUID,
		"branchName":     s.Branch,
	}
	if s.EnvironmentUUID != "" {
		claims["deploymentEnvironmentUuid"] = s.EnvironmentUUID
	}
	return claims
}

// Subject is `{repository}:{step}`, with `{environment}` between them on a deployment step.
func (s Step) Subject() string {
	if s.EnvironmentUUID == "" {
		return s.RepositoryUUID + ":" + s.StepUUID
	}
	return s.RepositoryUUID + ":" + s.EnvironmentUUID + ":" + s.StepUUID
}

// WorkspaceAudience is the audience that every token of the workspace has.
func (s Step) WorkspaceAudience() string {
	return "ari:cloud:bitbucket::workspace/" + strings.Trim(s.WorkspaceUUID, "{}")
}

// audience is a string until there is a custom one, a list from then on: BCLOUD-24028.
func (s Step) audience() any {
	if len(s.Audiences) == 0 {
		return s.WorkspaceAudience()
	}
	return append([]string{s.WorkspaceAudience()}, s.Audiences...)
}
