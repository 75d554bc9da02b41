package config

import (
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/gcp"
)

func (p *problems) gcp(v gcpEnvironment) *gcp.Config {
	before := len(*p)
	if v.Provider == "" {
		p.halfConfigured("GCP_WORKLOAD_IDENTITY_PROVIDER", "GCP_SERVICE_ACCOUNT", "GCP_TOKEN_LIFETIME", "GCP_SCOPES",
			"GCP_DELEGATES", "GCP_ID_TOKEN_AUDIENCE", "GCP_DOCKER_REGISTRIES")
		return nil
	}
	provider, err := gcp.ParseProvider(v.Provider)
	if err != nil {
		p.reason("GCP_WORKLOAD_IDENTITY_PROVIDER", err,
			"projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, the project by its number")
	}
	c := &gcp.Config{
		Provider:               provider,
		ServiceAccount:         v.ServiceAccount,
		Project:                v.Project,
		Universe:               v.Universe,
		IDTokenAudience:        v.IDToken,
		Scopes:                 p.list("GCP_SCOPES", v.Scopes),
		Lifetime:               p.seconds("GCP_TOKEN_LIFETIME", v.TokenLifetime, time.Minute, 12*time.Hour),
		STSEndpoint:            p.endpoint("GCP_STS_ENDPOINT", v.STSEndpoint),
		IAMCredentialsEndpoint: p.endpoint("GCP_IAMCREDENTIALS_ENDPOINT", v.IAMEndpoint),
	}
	if c.ServiceAccount != "" && !gcp.IsServiceAccount(c.ServiceAccount) {
		p.value("GCP_SERVICE_ACCOUNT", c.ServiceAccount, "a service account's e-mail such as deploy@my-project.iam.gserviceaccount.com")
	}
	if c.Project != "" && !gcp.IsProject(c.Project) {
		p.value("GCP_PROJECT", c.Project, "a project's id such as my-project")
	}
	if !charset.IsDomain(c.Universe) {
		p.value("GCP_UNIVERSE_DOMAIN", c.Universe, "a domain such as googleapis.com")
	}
	for _, scope := range c.Scopes {
		if !gcp.IsScope(scope) {
			p.value("GCP_SCOPES", scope, "OAuth scopes such as "+gcp.CloudPlatform)
		}
	}
	if c.ServiceAccount == "" {
		p.halfConfigured("GCP_SERVICE_ACCOUNT", "GCP_DELEGATES", "GCP_ID_TOKEN_AUDIENCE")
	}
	for _, text := range p.list("GCP_DELEGATES", v.Delegates) {
		delegate, err := gcp.ParseDelegate(text)
		if err != nil {
			p.value("GCP_DELEGATES", text, "e-mails of service accounts, or projects/-/serviceAccounts/EMAIL")
		}
		c.Delegates = append(c.Delegates, delegate)
	}
	c.Registries = unique(p.list("GCP_DOCKER_REGISTRIES", v.Registries))
	for _, host := range c.Registries {
		if !gcp.IsRegistry(host) {
			p.value("GCP_DOCKER_REGISTRIES", host, "registry hosts such as europe-west1-docker.pkg.dev, without a path")
		}
	}
	if len(*p) > before {
		return nil
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{gcp.CloudPlatform} // a list of blanks
	}
	if c.Project == "" {
		c.Project = gcp.ProjectOf(c.ServiceAccount)
	}
	if c.STSEndpoint == "" {
		c.STSEndpoint = "https://sts." + c.Universe
	}
	if c.IAMCredentialsEndpoint == "" {
		c.IAMCredentialsEndpoint = "https://iamcredentials." + c.Universe
	}
	return c
}
