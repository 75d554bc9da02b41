package backends

import (
	"cmp"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/gcp"
	"bitbucket-oidc/internal/oidc"
)

func gcpVariables() []config.Variable {
	return []config.Variable{
		{Name: "GCP_WORKLOAD_IDENTITY_PROVIDER", Main: true, Decides: true, Context: true,
			Peers: []string{"GCP_WIF_PROVIDER", "WORKLOAD_IDENTITY_PROVIDER", "WIF_PROVIDER", "GCP_WORKLOAD_IDENTITY_PROVIDER_ID", "GCP_WORKLOAD_IDENTITY_PROVIDER_NAME",
				"GCP_WIF_PROVIDER_NAME", "GCP_PROVIDER", "GCP_OIDC_PROVIDER", "GCP_IDENTITY_PROVIDER", "GOOGLE_WORKLOAD_IDENTITY_PROVIDER"},
			Means: "`projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`, with the project's number. A leading `//iam.googleapis.com/` or `https://iam.googleapis.com/` is accepted."},
		{Name: "GCP_SERVICE_ACCOUNT", Decides: true,
			Peers: []string{"GCP_SERVICE_ACCOUNT_EMAIL", "SERVICE_ACCOUNT", "SERVICE_ACCOUNT_EMAIL", "GCP_SA", "GCP_SA_EMAIL", "GCP_DEPLOYER_SA", "GCP_DEPLOY_SA",
				"GCP_WIF_SERVICE_ACCOUNT", "GCP_WIF_SA", "GCP_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_EMAIL", "WIF_SERVICE_ACCOUNT"},
			Means: "E-mail of the service account to impersonate. Without it: direct federation, where the step itself is the principal."},
		{Name: "GCP_PROJECT", Peers: []string{"GCP_PROJECT_ID", "GCP_PROJECT_NAME", "GCLOUD_PROJECT_ID"},
			Means: "Project of later commands. Without it: the one in the service account's e-mail; with direct federation, none."},
		{Name: "GCP_TOKEN_LIFETIME", Default: "1h", Peers: []string{"GCP_ACCESS_TOKEN_LIFETIME", "ACCESS_TOKEN_LIFETIME", "GCP_TOKEN_DURATION"},
			Means: "How long the service account's token lasts, `1m` to `12h`. More than `1h` requires that the organisation allows it. Google's library for Java requires at least `10m`."},
		{Name: "GCP_SCOPES", List: true, Default: gcp.CloudPlatform, Peers: []string{"GCP_ACCESS_TOKEN_SCOPES", "ACCESS_TOKEN_SCOPES", "GCP_OAUTH_SCOPES"},
			Means: "List of OAuth scopes of `gcp/access-token`. Clients that fetch their own tokens choose their own scopes."},
		{Name: "GCP_DELEGATES", List: true,
			Means: "List of service accounts between the step and `GCP_SERVICE_ACCOUNT`, each of which may act as the next one: e-mails, or `projects/-/serviceAccounts/EMAIL`."},
		{Name: "GCP_ID_TOKEN_AUDIENCE", Peers: []string{"ID_TOKEN_AUDIENCE"}, Means: "Also write an ID token of the service account, for this audience, to `gcp/id-token`."},
		{Name: "GCP_DOCKER_REGISTRIES", List: true, Peers: []string{"GCP_DOCKER_REGISTRY"}, Means: "List of registry hosts, such as `europe-docker.pkg.dev`, to log Docker in to."},
		{Name: "GCP_UNIVERSE_DOMAIN", Default: gcp.DefaultUniverse, Peers: []string{"GCP_UNIVERSE"}, Means: "Domain of Google's APIs."},
		{Name: "GCP_STS_ENDPOINT", Means: "Base URL to use instead of `https://sts.googleapis.com`, for private endpoints."},
		{Name: "GCP_IAMCREDENTIALS_ENDPOINT", Means: "Base URL to use instead of `https://iamcredentials.googleapis.com`."},
	}
}

func configureGCP(v *config.Vars, _ oidc.Token) maker {
	if !v.IsSet("GCP_WORKLOAD_IDENTITY_PROVIDER") {
		v.HalfConfigured("GCP_WORKLOAD_IDENTITY_PROVIDER", "GCP_SERVICE_ACCOUNT", "GCP_TOKEN_LIFETIME", "GCP_SCOPES",
			"GCP_DELEGATES", "GCP_ID_TOKEN_AUDIENCE", "GCP_DOCKER_REGISTRIES")
		return nil
	}
	provider, err := gcp.ParseProvider(v.Text("GCP_WORKLOAD_IDENTITY_PROVIDER"))
	if err != nil {
		v.Reason("GCP_WORKLOAD_IDENTITY_PROVIDER", err,
			"projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, the project by its number")
	}
	c := gcp.Config{
		Provider:               provider,
		ServiceAccount:         v.Text("GCP_SERVICE_ACCOUNT"),
		Project:                v.Text("GCP_PROJECT"),
		Universe:               v.Text("GCP_UNIVERSE_DOMAIN"),
		IDTokenAudience:        v.Text("GCP_ID_TOKEN_AUDIENCE"),
		Lifetime:               v.Seconds("GCP_TOKEN_LIFETIME", time.Minute, 12*time.Hour),
		STSEndpoint:            v.Endpoint("GCP_STS_ENDPOINT"),
		IAMCredentialsEndpoint: v.Endpoint("GCP_IAMCREDENTIALS_ENDPOINT"),
	}
	if c.ServiceAccount == "" {
		v.HalfConfigured("GCP_SERVICE_ACCOUNT", "GCP_DELEGATES", "GCP_ID_TOKEN_AUDIENCE")
	} else if !gcp.IsServiceAccount(c.ServiceAccount) {
		v.Wrong("GCP_SERVICE_ACCOUNT", c.ServiceAccount, "a service account's e-mail such as deploy@my-project.iam.gserviceaccount.com")
	}
	if c.Project != "" && !gcp.IsProject(c.Project) {
		v.Wrong("GCP_PROJECT", c.Project, "a project's id such as my-project")
	}
	if !charset.IsDomain(c.Universe) {
		v.Wrong("GCP_UNIVERSE_DOMAIN", c.Universe, "a domain such as googleapis.com")
	}
	gcpLists(v, &c)
	c.ProjectGuessed = c.Project == ""
	c.Project = cmp.Or(c.Project, gcp.ProjectOf(c.ServiceAccount))
	c.STSEndpoint = cmp.Or(c.STSEndpoint, "https://sts."+c.Universe)
	c.IAMCredentialsEndpoint = cmp.Or(c.IAMCredentialsEndpoint, "https://iamcredentials."+c.Universe)
	return func(path func(string) string, trace func(string)) federation.Backend {
		c.Path, c.Trace = path, trace
		return gcp.New(c)
	}
}

func gcpLists(v *config.Vars, c *gcp.Config) {
	c.Scopes = v.List("GCP_SCOPES")
	for _, scope := range c.Scopes {
		if !gcp.IsScope(scope) {
			v.Wrong("GCP_SCOPES", scope, "OAuth scopes such as "+gcp.CloudPlatform)
		}
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{gcp.CloudPlatform} // a list of blanks
	}
	for _, text := range v.Filled("GCP_DELEGATES", "name the service accounts, or remove the variable to impersonate without them") {
		delegate, err := gcp.ParseDelegate(text)
		if err != nil {
			v.Wrong("GCP_DELEGATES", text, "e-mails of service accounts, or projects/-/serviceAccounts/EMAIL")
		}
		c.Delegates = append(c.Delegates, delegate)
	}
	c.Registries = registries(v, "GCP_DOCKER_REGISTRIES", "europe-west1-docker.pkg.dev")
	for _, host := range c.Registries {
		if charset.IsHost(host) && !gcp.IsOwnRegistry(host) {
			v.Warn("GCP_DOCKER_REGISTRIES: " + host + " is no registry of Google's, and gets Google's access token as a password")
		}
	}
}
