package backends

import (
	"net/url"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/oauth"
	"bitbucket-oidc/internal/oidc"
)

func jfrogVariables() []config.Variable {
	return []config.Variable{
		{Name: "JFROG_URL", Main: true, Peers: []string{"JFROG_PLATFORM_URL", "JFROG_HOST"}, Means: "Base URL of the JFrog Platform. It configures nothing on its own."},
		{Name: "JFROG_OIDC_PROVIDER", Main: true, Peers: []string{"JFROG_OIDC_PROVIDER_NAME", "JFROG_PROVIDER", "JFROG_PROVIDER_NAME"},
			Means: "Name of the platform's OIDC integration."},
		{Name: "JFROG_PROJECT", Peers: []string{"JFROG_PROJECT_KEY"}, Means: "Key of a project of JFrog."},
		{Name: "JFROG_DOCKER_REGISTRIES", List: true, Peers: []string{"JFROG_DOCKER_REGISTRY", "JFROG_REGISTRY"},
			Means: "List of registry hosts, such as `acme.jfrog.io`, to log Docker in to, with the user name that JFrog returns."},
	}
}

func configureJFrog(v *config.Vars, _ oidc.Token) maker {
	if !together(v, "JFROG_URL", "JFROG_OIDC_PROVIDER") {
		v.HalfConfigured("JFROG_OIDC_PROVIDER", "JFROG_PROJECT", "JFROG_DOCKER_REGISTRIES")
		return nil
	}
	return makeService(oauth.JFrog(v.Endpoint("JFROG_URL"), name(v, "JFROG_OIDC_PROVIDER"), name(v, "JFROG_PROJECT"), registries(v, "JFROG_DOCKER_REGISTRIES", "acme.jfrog.io")))
}

func cloudsmithVariables() []config.Variable {
	return []config.Variable{
		{Name: "CLOUDSMITH_ORG", Main: true, Peers: []string{"CLOUDSMITH_NAMESPACE", "CLOUDSMITH_ORGANIZATION", "CLOUDSMITH_ORGANISATION", "CLOUDSMITH_OWNER"},
			Means: "Organisation of Cloudsmith."},
		{Name: "CLOUDSMITH_SERVICE", Main: true, Decides: true, Peers: []string{"CLOUDSMITH_SERVICE_SLUG", "CLOUDSMITH_SERVICE_ACCOUNT"},
			Means: "Slug of the service account of Cloudsmith."},
		{Name: "CLOUDSMITH_DOCKER_REGISTRIES", List: true, Peers: []string{"CLOUDSMITH_DOCKER_REGISTRY", "CLOUDSMITH_REGISTRY"},
			Means: "List of registry hosts, such as `docker.cloudsmith.io`, to log Docker in to."},
	}
}

func configureCloudsmith(v *config.Vars, _ oidc.Token) maker {
	if !together(v, "", "CLOUDSMITH_ORG", "CLOUDSMITH_SERVICE") {
		v.HalfConfigured("CLOUDSMITH_SERVICE", "CLOUDSMITH_DOCKER_REGISTRIES")
		return nil
	}
	return makeService(oauth.Cloudsmith(slug(v, "CLOUDSMITH_ORG"), slug(v, "CLOUDSMITH_SERVICE"), registries(v, "CLOUDSMITH_DOCKER_REGISTRIES", "docker.cloudsmith.io")))
}

// registries are the hosts that a list names.
func registries(v *config.Vars, variable, example string) []string {
	hosts := config.Unique(v.List(variable))
	for _, host := range hosts {
		if !charset.IsHost(host) {
			v.Wrong(variable, host, "registry hosts such as "+example+", without a path")
		}
	}
	return hosts
}

func databricksVariables() []config.Variable {
	return []config.Variable{
		{Name: "DATABRICKS_HOST", Main: true, Peers: []string{"DATABRICKS_URL", "DATABRICKS_WORKSPACE_URL"},
			Means: "Host of a Databricks workspace or account. It configures nothing on its own."},
		{Name: "DATABRICKS_CLIENT_ID", Main: true, Decides: true, Peers: []string{"DATABRICKS_SERVICE_PRINCIPAL", "DATABRICKS_SERVICE_PRINCIPAL_ID"},
			Means: "UUID of the service principal in Databricks."},
	}
}

func configureDatabricks(v *config.Vars, _ oidc.Token) maker {
	if !together(v, "DATABRICKS_HOST", "DATABRICKS_CLIENT_ID") {
		return nil
	}
	host := v.Text("DATABRICKS_HOST")
	if u, err := url.Parse(host); err == nil && u.Scheme == "" && host != "" {
		host = "https://" + host // Databricks' own clients take the host alone
	}
	return makeService(oauth.Databricks(v.CheckEndpoint("DATABRICKS_HOST", host), name(v, "DATABRICKS_CLIENT_ID")))
}

func pulumiVariables() []config.Variable {
	return []config.Variable{
		{Name: "PULUMI_ORG", Main: true, Peers: []string{"PULUMI_ORGANIZATION", "PULUMI_ORGANISATION"}, Means: "Organization of Pulumi Cloud."},
	}
}

func configurePulumi(v *config.Vars, _ oidc.Token) maker {
	if !v.IsSet("PULUMI_ORG") {
		return nil
	}
	return makeService(oauth.Pulumi(slug(v, "PULUMI_ORG")))
}
