package oauth

import (
	"net/url"

	"bitbucket-oidc/internal/federation"
)

const (
	grantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenTypeID     = "urn:ietf:params:oauth:token-type:id_token"
	tokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token"
	tokenTypeJWT    = "urn:ietf:params:oauth:token-type:jwt"
)

// Here is each service that is only data. Each is made after the service's own client or documentation; none was run against the real
// service.

// JFrog is the JFrog Platform's OIDC exchange. Source: jfrog/jfrog-client-go, access/services/accesstoken.go.
func JFrog(platform, provider, project string, registries []string) Service {
	parameters := []Parameter{{"grant_type", grantExchange}, {"subject_token_type", tokenTypeID}, {"provider_name", provider}}
	if project != "" {
		parameters = append(parameters, Parameter{"project_key", project})
	}
	return Service{
		Name: "jfrog", Endpoint: platform + "/access/api/v1/oidc/token", Principal: "provider " + provider,
		JSON: true, Parameters: parameters, TokenIn: "subject_token", TokenAt: "access_token", SecondsAt: "expires_in",
		Registries: registries, UserAt: "username",
		Env: []federation.Var{
			{Name: "JF_URL", Value: platform},
			{Name: "JF_ACCESS_TOKEN", Contents: "jfrog/token"},
			{Name: "JF_USER", Unset: true},
			{Name: "JF_PASSWORD", Unset: true},
		},
		Variable: "JFROG_URL",
		Setup:    "the OIDC integration JFROG_OIDC_PROVIDER needs the token's issuer and audience, and an identity mapping that fits its claims, such as repositoryUuid",
	}
}

// Cloudsmith's OIDC exchange. Source: cloudsmith-io/cloudsmith-cli, core/credentials/oidc/exchange.py.
func Cloudsmith(org, service string, registries []string) Service {
	return Service{
		Name: "cloudsmith", Endpoint: "https://api.cloudsmith.io/openid/" + url.PathEscape(org) + "/", Principal: org + "/" + service,
		JSON: true, Parameters: []Parameter{{"service_slug", service}}, TokenIn: "oidc_token", TokenAt: "token",
		Registries: registries, User: "token", // the fixed user name of tokens (Cloudsmith, "Docker Registry")
		Env:      []federation.Var{{Name: "CLOUDSMITH_API_KEY", Contents: "cloudsmith/token"}},
		Variable: "CLOUDSMITH_ORG",
		Setup:    "the organisation's OIDC provider settings need the token's issuer, claims that it has, and the service CLOUDSMITH_SERVICE",
	}
}

// Databricks' OAuth token federation. Source: databricks/databricks-sdk-go, config/experimental/auth/oidc/tokensource.go.
func Databricks(host, clientID string) Service {
	return Service{
		Name: "databricks", Endpoint: host + "/oidc/v1/token", Principal: "service principal " + clientID,
		Parameters: []Parameter{
			{"grant_type", grantExchange}, {"subject_token_type", tokenTypeJWT}, {"scope", "all-apis"}, {"client_id", clientID},
		},
		TokenIn: "subject_token", TokenAt: "access_token", SecondsAt: "expires_in",
		Env: []federation.Var{
			{Name: "DATABRICKS_HOST", Value: host},
			{Name: "DATABRICKS_TOKEN", Contents: "databricks/token"},
			// Databricks' clients refuse to choose between two ways to sign in, unless they are told which (their pat is a token).
			{Name: "DATABRICKS_AUTH_TYPE", Value: "pat"},
			{Name: "DATABRICKS_CLIENT_ID", Unset: true},
			{Name: "DATABRICKS_CLIENT_SECRET", Unset: true},
		},
		Variable: "DATABRICKS_HOST",
		Setup:    "the service principal's federation policy needs the token's issuer and audience, and subject_claim repositoryUuid with the repository's UUID in braces: sub is new in every step run",
	}
}

// Pulumi Cloud's token exchange. Source: pulumi/pulumi, pkg/backend/httpstate/client/client.go.
func Pulumi(org string) Service {
	return Service{
		Name: "pulumi", Endpoint: "https://api.pulumi.com/api/oauth/token", Principal: "organization " + org,
		Parameters: []Parameter{
			{"grant_type", grantExchange}, {"audience", "urn:pulumi:org:" + org}, {"subject_token_type", tokenTypeID},
			{"requested_token_type", "urn:pulumi:token-type:access_token:organization"},
		},
		TokenIn: "subject_token", TokenAt: "access_token", SecondsAt: "expires_in", TokenType: "token",
		Env:      []federation.Var{{Name: "PULUMI_ACCESS_TOKEN", Contents: "pulumi/token"}},
		Variable: "PULUMI_ORG",
		Setup:    "the organization's OIDC issuer settings need the token's issuer and a policy that fits its claims; the step needs the audience urn:pulumi:org:" + org + " under oidc: audiences:",
	}
}
