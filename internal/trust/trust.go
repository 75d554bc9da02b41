// Package trust knows which trust configuration of a cloud fits the identity of a Bitbucket step.
package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"bitbucket-oidc/internal/oidc"
)

// What an identity alone cannot tell stands as a placeholder that a cloud refuses.
const (
	AccountID     = "ACCOUNT_ID"
	ProjectNumber = "PROJECT_NUMBER"
	Pool          = "POOL"
	Provider      = "PROVIDER"
)

// AWSProviderPath is the issuer as IAM writes it: in the provider's ARN and before ":sub" and ":aud" in condition keys.
func AWSProviderPath(c oidc.Claims) string { return strings.TrimPrefix(c.Issuer, "https://") }

// workspaceARI and the workspace's UUID, without braces, are the audience of the workspace's tokens.
const workspaceARI = "ari:cloud:bitbucket::workspace/"

// WorkspaceAudience is the audience that every token of the workspace has, or the token's first one.
func WorkspaceAudience(c oidc.Claims) string {
	for _, a := range c.Audience {
		if strings.HasPrefix(a, workspaceARI) {
			return a
		}
	}
	return c.Audience[0]
}

type statement struct {
	Effect    string
	Principal struct{ Federated string }
	Action    string
	Condition map[string]map[string]string
}

// AWSStatement is the statement of a role's trust policy, as JSON, that lets in exactly this repository, and only this
// deployment environment when the step has one.
func AWSStatement(c oidc.Claims, partition, account string) string {
	path := AWSProviderPath(c)
	s := statement{Effect: "Allow", Action: "sts:AssumeRoleWithWebIdentity"}
	s.Principal.Federated = fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", partition, account, path)
	s.Condition = map[string]map[string]string{
		audienceOperator(c): {path + ":aud": WorkspaceAudience(c)},
		"StringLike":        {path + ":sub": Subject(c) + ":*"},
	}
	return indented(s)
}

// audienceOperator is the operator that compares the token's audience. AWS does not say how a list of audiences becomes the
// :aud key; ForAnyValue: holds for one value as well.
func audienceOperator(c oidc.Claims) string {
	if len(c.Audience) > 1 {
		return "ForAnyValue:StringEquals"
	}
	return "StringEquals"
}

// AWSChainStatement is the statement of a role's trust policy, as JSON, that lets another role in.
func AWSChainStatement(from, externalID string, actions ...string) string {
	type chained struct {
		Effect    string
		Principal struct{ AWS string }
		Action    []string
		Condition map[string]map[string]string `json:",omitempty"`
	}
	s := chained{Effect: "Allow", Action: actions}
	s.Principal.AWS = from
	if externalID != "" {
		s.Condition = map[string]map[string]string{"StringEquals": {"sts:ExternalId": externalID}}
	}
	return indented(s)
}

// Subject is the part of the token's subject that stays the same in every step: {repository}, or
// {repository}:{environment}.
func Subject(c oidc.Claims) string {
	if env := c.Environment(); env != "" {
		return c.Repository() + ":" + env
	}
	return c.Repository()
}

// GCPMapping is the attribute mapping for a provider, in the form of gcloud's --attribute-mapping. The subject is for the
// audit log; bindings use the attributes. A member matches one attribute, hence the joined one.
func GCPMapping() string {
	return "google.subject=assertion.sub," +
		"attribute.repository_uuid=assertion.repositoryUuid," +
		"attribute.deployment=assertion.repositoryUuid + ':' + (has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none')"
}

// GCPCondition is the attribute condition for a provider: only this repository passes.
func GCPCondition(c oidc.Claims) string {
	return fmt.Sprintf("assertion.repositoryUuid == '%s'", c.Repository())
}

// GCPMember is the member of a service account's policy, or of any IAM policy, that is this repository, or this
// deployment environment of it when the step has one. UUIDs keep their braces.
func GCPMember(c oidc.Claims, projectNumber, pool string) string {
	attribute := "repository_uuid"
	if c.Environment() != "" {
		attribute = "deployment"
	}
	return gcpMemberName(gcpName{project: projectNumber, pool: pool}, "attribute."+attribute, Subject(c))
}

func indented(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // only strings: cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}
