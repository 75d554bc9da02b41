package config

import (
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// environment is every variable that the pipe reads, as text. envconfig fills it and does nothing else: its own parsing
// quotes values in its errors, stops at the first problem and takes a variable that is set to nothing for a value.
//
// A field tagged list may also come in Bitbucket's array form. Structs are tagged ignored because envconfig would read their
// fields under names of its own too, made of both (AWS_AWS_REGION).
type environment struct {
	Command   string `envconfig:"COMMAND" default:"login"`
	Arguments string `envconfig:"ARGUMENTS" list:"true"`
	Token     string `envconfig:"BITBUCKET_STEP_OIDC_TOKEN"`
	CloneDir  string `envconfig:"BITBUCKET_CLONE_DIR"`

	// Environment is the deployment environment's name, which the token does not have.
	Environment string `envconfig:"BITBUCKET_DEPLOYMENT_ENVIRONMENT"`

	OutputDir       string `envconfig:"OUTPUT_DIR" default:".bitbucket-oidc"`
	OutputOwner     string `envconfig:"OUTPUT_OWNER"`
	MinimumLifetime string `envconfig:"MINIMUM_LIFETIME"`
	Timeout         string `envconfig:"TIMEOUT" default:"60s"`
	Debug           string `envconfig:"DEBUG" default:"false"`

	AWS      awsEnvironment     `ignored:"true"`
	GCP      gcpEnvironment     `ignored:"true"`
	Vault    vaultEnvironment   `ignored:"true"`
	Okta     oktaEnvironment    `ignored:"true"`
	OAuth    oauthEnvironment   `ignored:"true"`
	Services serviceEnvironment `ignored:"true"`

	// What names and tags sessions, for CloudTrail. Bitbucket sets them.
	RepositorySlug string `envconfig:"BITBUCKET_REPO_SLUG" context:"true"`
	Repository     string `envconfig:"BITBUCKET_REPO_FULL_NAME" context:"true"`
	BuildNumber    string `envconfig:"BITBUCKET_BUILD_NUMBER" context:"true"`
	Branch         string `envconfig:"BITBUCKET_BRANCH" context:"true"`
	Commit         string `envconfig:"BITBUCKET_COMMIT" context:"true"`

	SSLCertFile string `envconfig:"SSL_CERT_FILE"`
	HTTPSProxy  string `envconfig:"HTTPS_PROXY"`
	NoProxy     string `envconfig:"NO_PROXY"`
}

type awsEnvironment struct {
	RoleARN         string `envconfig:"AWS_OIDC_ROLE_ARN"`
	Roles           string `envconfig:"AWS_OIDC_ROLES" list:"true"`
	Region          string `envconfig:"AWS_REGION"`
	DefaultRegion   string `envconfig:"AWS_DEFAULT_REGION"`
	SessionName     string `envconfig:"AWS_SESSION_NAME"`
	SessionDuration string `envconfig:"AWS_SESSION_DURATION" default:"1h"`
	SessionPolicy   string `envconfig:"AWS_SESSION_POLICY"`
	PolicyARNs      string `envconfig:"AWS_SESSION_POLICY_ARNS" list:"true"`
	AllowedAccounts string `envconfig:"AWS_ALLOWED_ACCOUNTS" list:"true"`

	Chain          string `envconfig:"AWS_CHAIN_ROLE_ARNS" list:"true"`
	ExternalID     string `envconfig:"AWS_CHAIN_EXTERNAL_ID"`
	SourceIdentity string `envconfig:"AWS_CHAIN_SOURCE_IDENTITY"`
	ChainTags      string `envconfig:"AWS_CHAIN_TAGS" default:"false"`
	Refreshable    string `envconfig:"AWS_REFRESHABLE" default:"false"`
	Registries     string `envconfig:"AWS_ECR_REGISTRIES" list:"true"`

	EndpointSTS string `envconfig:"AWS_ENDPOINT_URL_STS"`
	EndpointECR string `envconfig:"AWS_ENDPOINT_URL_ECR"`
	Endpoint    string `envconfig:"AWS_ENDPOINT_URL"`
	FIPS        string `envconfig:"AWS_USE_FIPS_ENDPOINT"`
	DualStack   string `envconfig:"AWS_USE_DUALSTACK_ENDPOINT"`
	CABundle    string `envconfig:"AWS_CA_BUNDLE"`
}

type gcpEnvironment struct {
	Provider       string `envconfig:"GCP_WORKLOAD_IDENTITY_PROVIDER"`
	ServiceAccount string `envconfig:"GCP_SERVICE_ACCOUNT"`
	Project        string `envconfig:"GCP_PROJECT"`
	TokenLifetime  string `envconfig:"GCP_TOKEN_LIFETIME" default:"1h"`
	Scopes         string `envconfig:"GCP_SCOPES" default:"https://www.googleapis.com/auth/cloud-platform" list:"true"`
	Delegates      string `envconfig:"GCP_DELEGATES" list:"true"`
	IDToken        string `envconfig:"GCP_ID_TOKEN_AUDIENCE"`
	Registries     string `envconfig:"GCP_DOCKER_REGISTRIES" list:"true"`
	STSEndpoint    string `envconfig:"GCP_STS_ENDPOINT"`
	IAMEndpoint    string `envconfig:"GCP_IAMCREDENTIALS_ENDPOINT"`
	Universe       string `envconfig:"GCP_UNIVERSE_DOMAIN" default:"googleapis.com"`
}

type vaultEnvironment struct {
	Addr      string `envconfig:"VAULT_ADDR"`
	Role      string `envconfig:"VAULT_ROLE"`
	Mount     string `envconfig:"VAULT_AUTH_MOUNT" default:"jwt"`
	Namespace string `envconfig:"VAULT_NAMESPACE"`
	CACert    string `envconfig:"VAULT_CACERT"`
}

type oktaEnvironment struct {
	OrgURL         string `envconfig:"OKTA_ORG_URL"`
	Team           string `envconfig:"OKTA_TEAM"`
	Connection     string `envconfig:"OKTA_WORKLOAD_CONNECTION"`
	Role           string `envconfig:"OKTA_WORKLOAD_ROLE"`
	CredentialType string `envconfig:"OKTA_CREDENTIAL_TYPE" default:"JWT"`
}

type oauthEnvironment struct {
	TokenURL      string `envconfig:"OAUTH_TOKEN_URL"`
	Grant         string `envconfig:"OAUTH_GRANT" default:"token-exchange"`
	Audience      string `envconfig:"OAUTH_AUDIENCE"`
	Resource      string `envconfig:"OAUTH_RESOURCE"`
	Scopes        string `envconfig:"OAUTH_SCOPES" list:"true"`
	SubjectType   string `envconfig:"OAUTH_SUBJECT_TOKEN_TYPE" default:"jwt"`
	RequestedType string `envconfig:"OAUTH_REQUESTED_TOKEN_TYPE"`
	ClientID      string `envconfig:"OAUTH_CLIENT_ID"`
	ClientSecret  string `envconfig:"OAUTH_CLIENT_SECRET"`
	Parameters    string `envconfig:"OAUTH_PARAMETERS" list:"true"`
	TokenVariable string `envconfig:"OAUTH_TOKEN_VARIABLE"`
}

type serviceEnvironment struct {
	JFrogURL      string `envconfig:"JFROG_URL"`
	JFrogProvider string `envconfig:"JFROG_OIDC_PROVIDER"`
	JFrogProject  string `envconfig:"JFROG_PROJECT"`

	CloudsmithOrg     string `envconfig:"CLOUDSMITH_ORG"`
	CloudsmithService string `envconfig:"CLOUDSMITH_SERVICE"`

	DatabricksHost     string `envconfig:"DATABRICKS_HOST"`
	DatabricksClientID string `envconfig:"DATABRICKS_CLIENT_ID"`

	PulumiOrg string `envconfig:"PULUMI_ORG"`
}

// A Variable is one that a user may set.
type Variable struct {
	Name    string
	Default string
	List    bool // may be in array form
}

// Variables lists what a user may set, in the order of the reference.
func Variables() []Variable {
	var all []Variable
	eachField(reflect.ValueOf(&environment{}).Elem(), func(f reflect.StructField, _ reflect.Value) {
		if f.Tag.Get("context") == "" {
			all = append(all, Variable{Name: f.Tag.Get("envconfig"), Default: f.Tag.Get("default"), List: f.Tag.Get("list") != ""})
		}
	})
	return all
}

func eachField(structure reflect.Value, visit func(reflect.StructField, reflect.Value)) {
	for i := range structure.NumField() {
		if field := structure.Field(i); field.Kind() == reflect.Struct {
			eachField(field, visit)
		} else {
			visit(structure.Type().Field(i), field)
		}
	}
}

// readEnvironment reads every variable, drops the white space around it, and puts the default in the place of nothing.
func readEnvironment() (environment, error) {
	var env environment
	for _, part := range []any{&env, &env.AWS, &env.GCP, &env.Vault, &env.Okta, &env.OAuth, &env.Services} {
		if err := envconfig.Process("", part); err != nil {
			return environment{}, err // cannot be: every field is a string
		}
	}
	eachField(reflect.ValueOf(&env).Elem(), func(f reflect.StructField, value reflect.Value) {
		text := strings.TrimSpace(value.String())
		if text == "" {
			text = f.Tag.Get("default")
		}
		value.SetString(text)
	})
	return env, nil
}

// isSet tells whether a variable, or its array form, has a value. An array of nothing is none.
func isSet(name string) bool {
	count := strings.TrimSpace(os.Getenv(name + "_COUNT"))
	return strings.TrimSpace(os.Getenv(name)) != "" || count != "" && count != "0"
}

// given tells whether a variable, or its array form, has a value or is an array of nothing.
func given(name string) bool {
	return strings.TrimSpace(os.Getenv(name)) != "" || strings.TrimSpace(os.Getenv(name+"_COUNT")) != ""
}

// prepareStandard gives what Go's libraries read by themselves the form that every other variable has: without white space, and
// the path of a file beginning in the build directory.
func prepareStandard() {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE"} {
		value, isSet := os.LookupEnv(name)
		switch value = strings.TrimSpace(value); {
		case !isSet:
			continue
		case value == "":
			_ = os.Unsetenv(name)
			continue
		case name == "SSL_CERT_FILE":
			value = inBuildDir(strings.TrimSpace(os.Getenv("BITBUCKET_CLONE_DIR")), value)
		}
		_ = os.Setenv(name, value) // fails for names that are none
	}
}
