package setup

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/shell"
)

// AWSCreateProvider is the command that makes the workspace's OIDC provider in an account.
func AWSCreateProvider(c oidc.Claims) string {
	return "aws iam create-open-id-connect-provider --url " + shell.Word(c.Issuer) + " --client-id-list " + shell.Word(bitbucket.WorkspaceAudience(c))
}

// AWSAddAudience is the command that lets an OIDC provider take the workspace's audience.
func AWSAddAudience(providerARN string, c oidc.Claims) string {
	return "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn " + shell.Word(providerARN) +
		" --client-id " + shell.Word(bitbucket.WorkspaceAudience(c))
}

// AWSProviderPath is the issuer as IAM writes it: in the provider's ARN and before ":sub" and ":aud" in condition keys.
func AWSProviderPath(c oidc.Claims) string { return strings.TrimPrefix(c.Issuer, "https://") }

// AWSProviderARN is the ARN of the workspace's OIDC provider in an account.
func AWSProviderARN(c oidc.Claims, partition, account string) string {
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", partition, account, AWSProviderPath(c))
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
	s.Principal.Federated = AWSProviderARN(c, partition, account)
	s.Condition = map[string]map[string]string{
		AWSAudienceOperator(c): {path + ":aud": bitbucket.WorkspaceAudience(c)},
		"StringLike":           {path + ":sub": bitbucket.Subject(c) + ":*"},
	}
	return document.Indented(s)
}

// AWSAudienceOperator is the operator that compares the token's audience. AWS does not say how a list of audiences becomes the
// :aud key; ForAnyValue: holds for one value as well.
func AWSAudienceOperator(c oidc.Claims) string {
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
	return document.Indented(s)
}
