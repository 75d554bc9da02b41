package backends

import (
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/okta"
)

func oktaVariables() []config.Variable {
	return []config.Variable{
		{Name: "OKTA_ORG_URL", Main: true, Peers: []string{"OKTA_DOMAIN", "OKTA_BASE_URL", "OKTA_ORGANIZATION_URL"},
			Means: "`https://ORG.pam.okta.com`. It configures nothing on its own."},
		{Name: "OKTA_TEAM", Main: true, Peers: []string{"OKTA_TEAM_NAME"}, Means: "Team of Okta Privileged Access."},
		{Name: "OKTA_WORKLOAD_CONNECTION", Main: true, Peers: []string{"OKTA_CONNECTION", "OKTA_WORKLOAD_CONNECTION_NAME"}, Means: "Name of the workload connection."},
		{Name: "OKTA_WORKLOAD_ROLE", Decides: true, Peers: []string{"OKTA_ROLE", "OKTA_ROLE_HINT"}, Means: "Workload role to request."},
		{Name: "OKTA_CREDENTIAL_TYPE", Default: "JWT", Means: "Type of the credential, sent as it is."},
	}
}

func configureOkta(v *config.Vars, _ oidc.Token) maker {
	if !together(v, "OKTA_ORG_URL", "OKTA_TEAM", "OKTA_WORKLOAD_CONNECTION") {
		v.HalfConfigured("OKTA_WORKLOAD_CONNECTION", "OKTA_WORKLOAD_ROLE", "OKTA_CREDENTIAL_TYPE")
		return nil
	}
	c := okta.Config{
		OrgURL: v.Endpoint("OKTA_ORG_URL"), Team: name(v, "OKTA_TEAM"), Connection: name(v, "OKTA_WORKLOAD_CONNECTION"),
		Role: name(v, "OKTA_WORKLOAD_ROLE"), CredentialType: name(v, "OKTA_CREDENTIAL_TYPE"),
	}
	return func(_ func(string) string, trace func(string)) federation.Backend {
		c.Trace = trace
		return okta.New(c)
	}
}
