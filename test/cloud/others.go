package cloud

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

// The default names in the services beside AWS and Google.
const (
	VaultRole = "deploy"

	OktaTeam       = "acme"
	OktaConnection = "bitbucket"
	OktaRole       = "deployer"

	OAuthAudience = "https://api.example.com"

	JFrogProvider = "bitbucket"
	JFrogProject  = "shop"

	CloudsmithOrg     = "acme"
	CloudsmithService = "pipelines"

	DatabricksClientID = "9f2d4c1e-7b3a-4e58-8c61-2a90d5b7f314"

	PulumiOrg = "acme"
)

// Others are the fakes beside AWS and Google, with defaults that let the default step in. Pulumi wants the audience
// urn:pulumi:org:acme as well.
type Others struct {
	Vault      *Vault
	Okta       *Okta
	OAuth      *OAuthServer
	JFrog      *Service
	Cloudsmith *Service
	Databricks *Service
	Pulumi     *Service

	Servers map[string]*Server // by the backend's name
	Gateway *Gateway           // to Cloudsmith and Pulumi by their public hosts, and to Vault
}

// StartOthers makes the default services.
func StartOthers(issuer *Issuer) (*Others, error) {
	audience := DefaultStep().WorkspaceAudience()
	rule := TokenRule{Issuer: issuer, Audiences: []string{audience}, Claims: map[string]string{"repositoryUuid": RepositoryUUID}}
	const ttl = 15 * time.Minute
	o := &Others{
		Vault: NewVault(VaultConfig{Mount: "jwt", Role: VaultRole, TokenRule: rule, TTL: ttl}),
		Okta:  NewOkta(OktaConfig{Team: OktaTeam, Connection: OktaConnection, Roles: []string{OktaRole}, TokenRule: rule, TTL: ttl}),
		OAuth: NewOAuthServer(OAuthConfig{
			Path: "/oauth/token", Grant: "token-exchange", TokenRule: rule, SubjectTokenTypes: []string{tokenTypeJWT},
			Targets: []string{OAuthAudience}, Scopes: []string{"read", "write"}, TTL: ttl,
		}),
		JFrog:      NewJFrog(ServiceConfig{TokenRule: rule, Account: JFrogProvider, Unit: JFrogProject, TTL: ttl}),
		Cloudsmith: NewCloudsmith(ServiceConfig{TokenRule: rule, Account: CloudsmithOrg, Unit: CloudsmithService, TTL: ttl}),
		Databricks: NewDatabricks(ServiceConfig{TokenRule: rule, Account: DatabricksClientID, TTL: ttl}),
	}
	rule.Audiences = []string{"urn:pulumi:org:" + PulumiOrg}
	o.Pulumi = NewPulumi(ServiceConfig{TokenRule: rule, Account: PulumiOrg, TTL: ttl})

	o.Servers = map[string]*Server{"cloudsmith": NewServer(o.Cloudsmith), "pulumi": NewServer(o.Pulumi)}
	var errs []error
	for name, fake := range map[string]http.Handler{
		"vault": o.Vault, "okta": o.Okta, "oauth": o.OAuth, "jfrog": o.JFrog, "databricks": o.Databricks,
	} {
		server, err := Serve(fake)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		o.Servers[name] = server
	}
	if len(errs) == 0 {
		var err error
		o.Gateway, err = ServeGateway(map[string]http.Handler{
			"api.cloudsmith.io": o.Servers["cloudsmith"], "api.pulumi.com": o.Servers["pulumi"], "127.0.0.1": o.Servers["vault"],
		})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// SetClock makes all of them live at another time.
func (o *Others) SetClock(now func() time.Time) {
	o.Vault.Configure(func(c *VaultConfig) { c.Now = now })
	o.Okta.Configure(func(c *OktaConfig) { c.Now = now })
	o.OAuth.Configure(func(c *OAuthConfig) { c.Now = now })
	for _, s := range []*Service{o.JFrog, o.Cloudsmith, o.Databricks, o.Pulumi} {
		s.Configure(func(c *ServiceConfig) { c.Now = now })
	}
}

// Close ends the servers.
func (o *Others) Close() {
	for _, s := range o.Servers {
		s.Close()
	}
	if o.Gateway != nil {
		o.Gateway.Close()
	}
}

// Secrets are all that these services handed out, and the client's secret of the OAuth server.
func (o *Others) Secrets() []Secret {
	return slices.Concat(o.Vault.Secrets(), o.Okta.Secrets(), o.OAuth.Secrets(), o.JFrog.Secrets(), o.Cloudsmith.Secrets(),
		o.Databricks.Secrets(), o.Pulumi.Secrets())
}
