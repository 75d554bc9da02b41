package handoff

import (
	"slices"
	"strings"
)

// variables are the names that each backend sets or unsets in env.sh. A state that an earlier command of the step has planted can set
// no other variable: no backend sets PATH or LD_PRELOAD.
func variables() map[string][]string {
	return map[string][]string{
		"aws": {
			"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK", "AWS_CONFIG_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
			"AWS_CREDENTIAL_EXPIRATION", "AWS_CREDENTIAL_FILE", "AWS_CREDENTIAL_PROFILES_FILE", "AWS_CREDENTIAL_SCOPE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION",
			"AWS_EC2_METADATA_DISABLED", "AWS_PROFILE", "AWS_REGION", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_SDK_LOAD_CONFIG",
			"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN", "AWS_SHARED_CREDENTIALS_FILE",
			"AWS_STS_REGIONAL_ENDPOINTS", "AWS_WEB_IDENTITY_TOKEN_FILE",
			"AMAZON_ACCESS_KEY_ID", "AMAZON_SECRET_ACCESS_KEY", "AMAZON_SESSION_TOKEN",
		},
		"gcp": {
			"BIGQUERYRC", "BOTO_CONFIG", "CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
			"CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "CLOUDSDK_CORE_PROJECT",
			"CLOUDSDK_STORAGE_GS_XML_ACCESS_KEY_ID", "CLOUDSDK_STORAGE_GS_XML_SECRET_ACCESS_KEY", "FIREBASE_TOKEN", "GCLOUD_KEYFILE_JSON",
			"GCLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_BACKEND_CREDENTIALS",
			"GOOGLE_BACKEND_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_CLOUD_KEYFILE_JSON", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CREDENTIALS",
			"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_PROJECT",
			"GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY",
		},
		"vault":      {"VAULT_ADDR", "VAULT_AGENT_ADDR", "VAULT_CACERT", "VAULT_NAMESPACE", "VAULT_PROXY_ADDR", "VAULT_TOKEN"},
		"okta":       {"OPA_ADDR", "OPA_TOKEN", "SFT_TEAM"},
		"oauth":      {}, // the name that OAUTH_TOKEN_VARIABLE gives
		"jfrog":      {"JF_ACCESS_TOKEN", "JF_PASSWORD", "JF_URL", "JF_USER"},
		"cloudsmith": {"CLOUDSMITH_API_KEY"},
		"databricks": {
			"DATABRICKS_AUTH_TYPE", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_HOST", "DATABRICKS_TOKEN",
		},
		"pulumi": {"PULUMI_ACCESS_TOKEN"},
	}
}

// sets reports whether a backend sets or unsets a variable of this name.
func sets(backend, name string) bool {
	if backend == "oauth" {
		return slices.ContainsFunc([]string{"_TOKEN", "_KEY", "_PASSWORD", "_SECRET"}, func(end string) bool { return strings.HasSuffix(name, end) })
	}
	return slices.Contains(variables()[backend], name)
}

// isBackend reports whether there is a backend of this name.
func isBackend(name string) bool {
	_, ok := variables()[name]
	return ok
}
