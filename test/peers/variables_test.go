package peers

import (
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"bitbucket-oidc/test/cloud"
)

// TestVariables: whatever variable a reader looks at, a step that had it before does not have it after env.sh, unless the variable
// cannot select an identity. The names are those that the readers' own sources hold: one that a new version looks at shows here.
func TestVariables(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	found := composed()
	t.Run("names", func(t *testing.T) {
		for _, l := range libraries() {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				got, err := l.names(t)
				if err != nil {
					verdicts.skip(t, l.name, err.Error())
				}
				verdicts.ran(l.name)
				for _, name := range l.knows {
					if got[name] == "" {
						t.Errorf("%s is not found, although the library looks at it", name)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(found, got)
			})
		}
	})

	aws := []string{"AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "AWS_REGION=eu-west-1"}
	google := []string{
		"GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName, "GCP_PROJECT=my-project",
		"GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail, "GCP_DOCKER_REGISTRIES=europe-docker.pkg.dev",
	}
	both := slices.Concat(aws, google)
	for _, l := range []login{
		{name: "plain", variables: both},
		{name: "refreshable", variables: append(both, "AWS_REFRESHABLE=true")},
		{name: "keys", variables: append(both, "AWS_EXPORT_KEYS=true")},
		{name: "delegates", variables: append(both, "GCP_SERVICE_ACCOUNT="+farAccount, "GCP_DELEGATES="+hopAccount)},
	} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			left := leftovers(t, newWorld(t).login(t, l), found)
			for _, name := range slices.Sorted(maps.Keys(found)) {
				switch reason := reasonFor(name); {
				case left[name] && reason == "":
					t.Errorf("%s stays as the step had it (%s): env.sh must set or unset it, or reasons() say why not", name, found[name])
				case !left[name] && reason != "":
					t.Errorf("env.sh sets or unsets %s, which stands among reasons()", name)
				}
			}
		})
	}
}

// leftovers are the names whose value, of before env.sh, is there after it.
func leftovers(t *testing.T, env string, found names) map[string]bool {
	t.Helper()
	const value = "leftover"
	variables := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	for name := range found {
		variables = append(variables, name+"="+value)
	}
	out, err := run(t, "", variables, "sh", "-c", `set -eu; . "$1"; exec env`, "sh", env)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutSuffix(strings.TrimSuffix(line, "\n"), "="+value); ok {
			left[name] = true
		}
	}
	return left
}

// reasonFor is why a variable may stay, or nothing.
func reasonFor(name string) string {
	for reason, all := range reasons() {
		for _, pattern := range all {
			if start, any := strings.CutSuffix(pattern, "*"); name == pattern || any && strings.HasPrefix(name, start) {
				return reason
			}
		}
	}
	return ""
}

// reasons are why a variable may stay as the step had it. A name that ends in "*" stands for all that begin so.
func reasons() map[string][]string {
	return map[string][]string{
		"says where requests go, or which of them": {
			"AWS_ENDPOINT_URL*", "AWS_ENABLE_ENDPOINT_DISCOVERY", "AWS_ENDPOINT_DISCOVERY_ENABLED", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
			"AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT", "AWS_S3_*", "AWS_SIGV4A_SIGNING_REGION_SET", "AWS_DATA_PATH",
			"AWS_DISABLE_HOST_PREFIX_INJECTION", "AMAZON_REGION", "AWS_PARTITION", "BOTO_ENDPOINTS", "BOTO_USE_ENDPOINT_HEURISTICS",
			"AWS_ACCOUNT_ID_ENDPOINT_MODE", "CLOUDSDK_API_*", "CLOUDSDK_STORAGE_S3_ENDPOINT_URL", "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
			"GOOGLE_API_USE_MTLS*", "GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED", "CLOUDSDK_PROXY_*",
		},
		"is read only beside keys in variables, and scripts have an account's number in it": {"AWS_ACCOUNT_ID"},
		"goes on with the name of a service; BEDROCK, the only one, is among composed()":    {"AWS_BEARER_TOKEN_"},
		"tunes retries, transfer, compression, time limits or output": {
			"AWS_AUTH_SCHEME_PREFERENCE", "AWS_CLI_*", "AWS_DEFAULTS_MODE", "AWS_DEFAULT_OUTPUT", "AWS_DISABLE_*", "AWS_ENABLE_DEFAULT_SOCKET_TIMEOUT_2026",
			"AWS_MAX_ATTEMPTS", "AWS_NEW_RETRIES_2026", "AWS_NODEJS_CONNECTION_REUSE_ENABLED", "AWS_PAGER", "AWS_REQUEST_*", "AWS_RESPONSE_*",
			"AWS_RESTRICT_FILE_PERMISSIONS", "AWS_RETRY_MODE", "AWS_SDK_JS_*", "AWS_SDK_UA_APP_ID", "AWS_EXECUTION_ENV", "BOTO_DISABLE_CRT",
			"BOTO_EXPERIMENTAL_*", "BOTOCORE_TCP_KEEPALIVE", "GOOGLE_SDK_*", "CLOUDSDK_ACCESSIBILITY_SCREEN_READER", "CLOUDSDK_CORE_DISABLE_*",
			"CLOUDSDK_CORE_HTTP_TIMEOUT", "CLOUDSDK_CORE_LOG_HTTP_REDACT_TOKEN", "CLOUDSDK_CORE_TRACE_TOKEN", "CLOUDSDK_CORE_USER_OUTPUT_ENABLED",
			"CLOUDSDK_CORE_REQUEST_REASON", "CLOUDSDK_CACHE_IMPLEMENTATION", "CLOUDSDK_METRICS_ENVIRONMENT", "CLOUDSDK_STORAGE_BASE_RETRY_DELAY",
			"CLOUDSDK_STORAGE_CHECK_HASHES", "CLOUDSDK_STORAGE_MAX_RETRIES", "CLOUDSDK_STORAGE_PARALLEL_COMPOSITE_UPLOAD_*",
			"CLOUDSDK_STORAGE_PROCESS_COUNT", "CLOUDSDK_STORAGE_RESUMABLE_THRESHOLD", "CLOUDSDK_STORAGE_RSYNC_*", "CLOUDSDK_STORAGE_THREAD_COUNT",
			"CLOUDSDK_STORAGE_USE_MAGICFILE", "CLOUDSDK_STORAGE_RUN_BY_GSUTIL_SHIM", "CLOUDSDK_REINSTALL_COMPONENTS",
		},
		"counts calls for a program beside the SDK": {"AWS_CSM_*"},
		"leads to a metadata service: env.sh turns that of AWS off, and a credential file comes before Google's": {
			"AWS_EC2_METADATA_SERVICE_*", "AWS_EC2_METADATA_V1_DISABLED", "AWS_IMDS_USE_IPV6", "AWS_METADATA_SERVICE_*", "GCE_METADATA_*", "GCE_PRODUCTION",
		},
		"is a certificate, or its use, beside the credential and not in its place": {
			"AWS_CA_BUNDLE", "AWS_SDK_GO_CLIENT_TLS_*", "GOOGLE_API_CERTIFICATE_CONFIG", "GOOGLE_API_USE_CLIENT_CERTIFICATE", "CLOUDSDK_CONTEXT_AWARE_*",
			"CLOUDSDK_CONTAINER_USE_CLIENT_CERTIFICATE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "CLOUDSDK_AUTH_DISABLE_SSL_VALIDATION",
			"EXPERIMENTAL_GOOGLE_API_USE_S2A", "S2A_*",
		},
		"serves the sign-in of a person, which no profile or file of a login asks for": {
			"AWS_LOGIN_CACHE_DIRECTORY", "CLOUDSDK_AUTH_AUTH_HOST", "CLOUDSDK_AUTH_CLIENT_*", "CLOUDSDK_AUTH_DISABLE_CODE_VERIFIER",
			"CLOUDSDK_AUTH_LOGIN_CONFIG_FILE", "CLOUDSDK_AUTH_MTLS_TOKEN_HOST", "CLOUDSDK_AUTH_REAUTH_USE_GOOGLE_AUTH", "CLOUDSDK_AUTH_TOKEN_HOST",
			"GOOGLE_AUTH_WEBAUTHN_PLUGIN", "GOOGLE_OAUTH2_*", "GOOGLE_OAUTH_MODEL_STORAGE",
		},
		"holds accounts of a person, or names one; the credential file that env.sh names comes before": {
			"CLOUDSDK_CONFIG", "CLOUDSDK_ACTIVE_CONFIG_NAME", "CLOUDSDK_CORE_ACCOUNT", "CLOUDSDK_CORE_CREDENTIALED_HOSTED_REPO_DOMAINS",
		},
		"goes along with the credential as a header or parameter": {
			"CLOUDSDK_AUTH_AUTHORITY_SELECTOR", "CLOUDSDK_AUTH_AUTHORIZATION_TOKEN_FILE", "CLOUDSDK_CORE_API_KEY", "GOOGLE_CLOUD_QUOTA_PROJECT",
			"BIGQUERY_DISCOVERY_API_KEY_FLAG",
		},
		"says how a credential is loaded, and not which": {
			"CLOUDSDK_AUTH_DISABLE_LOAD_GOOGLE_AUTH", "CLOUDSDK_AUTH_OPT_OUT_GOOGLE_AUTH", "CLOUDSDK_AUTH_SERVICE_ACCOUNT_*",
			"CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT", "CLOUDSDK_CONTAINER_USE_APPLICATION_DEFAULT_CREDENTIALS",
			"CLOUDSDK_CORE_PASS_CREDENTIALS_TO_GSUTIL",
		},
		"is of credential files that start a program, or what is given to the program": {"GOOGLE_EXTERNAL_ACCOUNT_*"},
		"counts only without BOTO_CONFIG":                                              {"BOTO_PATH"},
		"loads code of the step's own, or a program": {
			"BOTOCORE_EXPERIMENTAL__PLUGINS", "CLOUDSDK_PYTHON*", "CLOUDSDK_ROOT_DIR", "CLOUDSDK_ALLOW_PY2", "GCLOUD_BINARY_PATH",
		},
		"names or encrypts what a command works on": {
			"CLOUDSDK_ACCESS_CONTEXT_MANAGER_*", "CLOUDSDK_RUNAPPS_DEPLOYMENT_SERVICE_ACCOUNT", "CLOUDSDK_SECRETS_*", "CLOUDSDK_STORAGE_KEY_STORE_PATH",
		},
		"is set by a runtime or a launcher, for what runs in it": {
			"AWS_LAMBDA_*", "AWS_SSM_START_SESSION_RESPONSE", "CLOUDSDK_INTERNAL_USER", "CLOUDSDK_VERSION", "CLOUDSDK_WRAPPER",
		},
		"is no variable, or one of tests": {
			"AWS_BACKUP_*", "AWS_TEST_COMMAND", "AWS_URL", "BOTO_SWF_UNITTEST_DOMAIN", "GOOGLE_CREDENTIALS_FILE", "GOOGLE_SHEETS",
		},
	}
}
