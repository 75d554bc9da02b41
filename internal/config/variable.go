package config

// A Variable is a variable that a user may set. Its descriptions in help, in the documentation and in pipe.yml come from here.
type Variable struct {
	Name    string
	Means   string // for help and documentation: sentences, with code in back quotes
	Default string // the value if none is set; empty for none
	Main    bool   // required; the variable of a backend is required for the backend
	Secret  bool   // to be given as a secured variable
	List    bool   // may come in array form

	// Spaces reports that an item of the list may hold white space. In other lists, white space in an item means that somebody
	// separated the items by it.
	Spaces bool

	// Context reports that pipe.yml takes the value from the step's own variables. Every other variable counts only if it is given
	// under variables:, so that a workspace variable of another tool neither breaks a step nor starts a login.
	Context bool

	// A misspelt Guard stops the login, because the user relies on it. So does a misspelt variable that Decides who the step becomes,
	// where the variable itself is not set.
	Guard, Decides bool

	// Peers are the names that other tools have for it.
	Peers []string
}

// Documentation is what the variable means, with its default.
func (v Variable) Documentation() string {
	if v.Default == "" {
		return v.Means
	}
	return v.Means + " Default: `" + v.Default + "`."
}

// A Group is the variables of one thing, such as a backend, in the order of the documentation.
type Group struct {
	Name      string // short and lower-case; for a backend's variables, the backend's name
	Title     string
	Backend   bool
	Variables []Variable
}

// prefixes begin the names that are watched for misspellings.
func prefixes() []string {
	return []string{
		"AWS_", "GCP_", "OKTA_", "OAUTH_", "VAULT_", "JFROG_", "CLOUDSMITH_", "DATABRICKS_", "PULUMI_", "GUARD_", "RECORD_", "OUTPUT_", "MINIMUM_",
	}
}

// General are the variables that do not belong to a backend.
func General() []Group {
	return []Group{
		{Name: "general", Title: "General", Variables: generalVariables()},
		{Name: "guard", Title: "Guardrails", Variables: guardVariables()},
		{Name: "record", Title: "Records", Variables: recordVariables()},
	}
}

// Standard are the variables that Go and its libraries read by themselves.
func Standard() Group {
	return Group{Name: "standard", Title: "Proxies and certificates", Variables: []Variable{
		{Name: "SSL_CERT_FILE", Context: true, Means: "Path of a PEM file, relative to the build directory, with the certificate authorities to trust for every cloud, instead of the public ones."},
		{Name: "HTTPS_PROXY", Context: true, Means: "URL of the proxy for all requests."},
		{Name: "NO_PROXY", Context: true, Means: "Hosts to reach without the proxy, separated by commas."},
	}}
}

func generalVariables() []Variable {
	return []Variable{
		{Name: "OUTPUT_DIR", Default: ".bitbucket-oidc", Peers: []string{"OUTPUT_DIRECTORY", "OUTPUT_FOLDER", "OUTPUT_PATH"},
			Means: "Folder for the files, inside the build directory. A path outside of it is refused."},
		{Name: "OUTPUT_OWNER", Peers: []string{"OUTPUT_USER"},
			Means: "Numeric `user` or `user:group` that owns the files, for build images that run as another user. Without it: the owner of the build directory."},
		{Name: "MINIMUM_LIFETIME", Guard: true, Peers: []string{"MIN_LIFETIME", "MINIMUM_TTL", "MINIMUM_DURATION", "MINIMUM_TOKEN_LIFETIME"},
			Means: "Fail, and write nothing, if a credential would expire sooner than this. Without it: every lifetime is accepted."},
		{Name: "BACKENDS", List: true, Peers: []string{"BACKEND"},
			Means: "List of the backends to sign in to, such as `aws`. The variables of other backends are ignored. Without it: every backend that is configured."},
		{Name: "TIMEOUT", Default: "60s", Means: "Maximum time for the whole command, `1ms` to `24h`. The command ends at most two seconds later."},
		{Name: "DEBUG", Default: "false",
			Means: "Also print the token's issuer, audience, subject and expiry, and each attempt of a request. It never prints a secret."},
		{Name: "COMMAND", Default: "login",
			Means: "`login`; `logout`, which removes what login wrote; `explain`; or a command of the program `bitbucket-oidc`, such as `check` or `audit`."},
		{Name: "ARGUMENTS", List: true, Spaces: true, Means: "List of the command's arguments, one word for each item, as they would follow the command on a command line."},
		{Name: "BITBUCKET_STEP_OIDC_TOKEN", Main: true, Context: true, Secret: true,
			Means: "The step's token. Bitbucket sets it on a step with `oidc: true`; do not set it to anything else."},
		{Name: "BITBUCKET_CLONE_DIR", Context: true, Means: "The build directory. Set by Bitbucket. Without it: the working directory."},
		{Name: "BITBUCKET_DEPLOYMENT_ENVIRONMENT", Context: true,
			Means: "Name of the deployment environment, for `AWS_CHAIN_TAGS` and to find the step's `max-time`. Set by Bitbucket; whether it reaches a `docker://` pipe without being passed on is not confirmed: if the tag `Environment` is missing, pass it on under `variables:`."},
	}
}
