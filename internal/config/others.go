package config

import (
	"net/url"
	"slices"
	"strings"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oauth"
	"bitbucket-oidc/internal/okta"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/vault"
)

// together tells whether a backend is configured: whether any of its own variables is set. Then all of them must be, and
// its address too, which alone configures nothing, because steps have it for other tools.
func (p *problems) together(address string, own ...string) bool {
	i := slices.IndexFunc(own, isSet)
	if i < 0 {
		return false
	}
	for _, name := range append([]string{address}, own...) {
		if name != "" && !isSet(name) {
			p.add(hint.New(own[i]+": set without "+name, "set "+name+" as well, or remove "+own[i]))
		}
	}
	return true
}

// name checks a value that becomes part of a path, a parameter and a line of the log.
func (p *problems) name(variable, value string) {
	if value != "" && (!charset.Only(value, charset.Visible+" ", 1, 500) || value == "." || value == "..") {
		p.value(variable, value, "a name of 1 to 500 characters that can be printed, of ASCII")
	}
}

func (p *problems) vault(v vaultEnvironment, buildDir string) *vault.Config {
	before := len(*p)
	if !p.together("VAULT_ADDR", "VAULT_ROLE") {
		p.halfConfigured("VAULT_ROLE", "VAULT_AUTH_MOUNT")
		return nil
	}
	c := p.vaultServer(v, buildDir)
	c.Role = v.Role
	if len(*p) > before {
		return nil
	}
	return c
}

// vaultServer reads where Vault is.
func (p *problems) vaultServer(v vaultEnvironment, buildDir string) *vault.Config {
	c := &vault.Config{Addr: p.endpoint("VAULT_ADDR", v.Addr), Mount: strings.Trim(v.Mount, "/"), Namespace: v.Namespace}
	c.Mount = strings.TrimPrefix(c.Mount, "auth/")
	if !charset.Only(c.Mount, charset.Word+"./-", 1, 200) || strings.Contains(c.Mount, "..") {
		p.value("VAULT_AUTH_MOUNT", v.Mount, "the path of the JWT authentication, such as jwt")
	}
	p.name("VAULT_ROLE", v.Role)
	p.name("VAULT_NAMESPACE", c.Namespace)
	c.CACert = inBuildDir(buildDir, v.CACert)
	c.RootCAs = p.authorities("VAULT_CACERT", c.CACert)
	return c
}

func (p *problems) okta(v oktaEnvironment) *okta.Config {
	before := len(*p)
	if !p.together("OKTA_ORG_URL", "OKTA_TEAM", "OKTA_WORKLOAD_CONNECTION") {
		p.halfConfigured("OKTA_WORKLOAD_CONNECTION", "OKTA_WORKLOAD_ROLE", "OKTA_CREDENTIAL_TYPE")
		return nil
	}
	c := &okta.Config{
		OrgURL: p.endpoint("OKTA_ORG_URL", v.OrgURL), Team: v.Team, Connection: v.Connection, Role: v.Role, CredentialType: v.CredentialType,
	}
	p.name("OKTA_TEAM", c.Team)
	p.name("OKTA_WORKLOAD_CONNECTION", c.Connection)
	p.name("OKTA_WORKLOAD_ROLE", c.Role)
	p.name("OKTA_CREDENTIAL_TYPE", c.CredentialType)
	if len(*p) > before {
		return nil
	}
	return c
}

func (p *problems) oauth(v oauthEnvironment) *oauth.Service {
	before := len(*p)
	if v.TokenURL == "" {
		p.halfConfigured("OAUTH_TOKEN_URL", "OAUTH_GRANT", "OAUTH_AUDIENCE", "OAUTH_RESOURCE", "OAUTH_SCOPES", "OAUTH_SUBJECT_TOKEN_TYPE",
			"OAUTH_REQUESTED_TOKEN_TYPE", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_PARAMETERS", "OAUTH_TOKEN_VARIABLE")
		return nil
	}
	e := oauth.Endpoint{
		URL: v.TokenURL, Grant: v.Grant, Audience: v.Audience, Resource: v.Resource, Scopes: p.list("OAUTH_SCOPES", v.Scopes),
		ClientID: v.ClientID, ClientSecret: secret.New(v.ClientSecret), TokenVariable: v.TokenVariable,
	}
	if err := transport.CheckURL(v.TokenURL); err != nil {
		p.reason("OAUTH_TOKEN_URL", err, "a URL such as https://host.example.com/oauth/token (http is for loopback hosts only)")
	}
	if e.Grant != oauth.TokenExchange && e.Grant != oauth.JWTBearer {
		p.value("OAUTH_GRANT", v.Grant, "token-exchange or jwt-bearer")
	}
	e.SubjectTokenType = p.tokenType("OAUTH_SUBJECT_TOKEN_TYPE", v.SubjectType)
	if v.RequestedType != "" {
		e.RequestedTokenType = p.tokenType("OAUTH_REQUESTED_TOKEN_TYPE", v.RequestedType)
	}
	if v.ClientSecret != "" && v.ClientID == "" {
		p.halfConfigured("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")
	}
	for _, item := range p.list("OAUTH_PARAMETERS", v.Parameters) {
		name, value, ok := strings.Cut(item, "=")
		if !ok || name == "" {
			p.value("OAUTH_PARAMETERS", item, "name=value")
			continue
		}
		e.Parameters = append(e.Parameters, oauth.Parameter{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	p.name("OAUTH_AUDIENCE", e.Audience)
	p.name("OAUTH_CLIENT_ID", e.ClientID)
	if e.TokenVariable != "" && !isVariableName(e.TokenVariable) {
		p.value("OAUTH_TOKEN_VARIABLE", v.TokenVariable, "the name of a variable that no shell, loader or cloud has, such as SHOP_TOKEN")
	}
	s := e.Service()
	if name := s.Repeated(); name != "" {
		p.add(hint.New("OAUTH_PARAMETERS: "+name+": login sends it already", "remove it from OAUTH_PARAMETERS, or set it by its own variable"))
	}
	if len(*p) > before {
		return nil
	}
	return &s
}

// ownVariable reports that another backend of this login sets OAUTH_TOKEN_VARIABLE: later commands would see one of the two.
func (p *problems) ownVariable(variable string, c Config) {
	taken := map[string]string{}
	for _, s := range c.Services {
		if s.Name == oauth.Generic {
			continue
		}
		for _, v := range s.Env {
			taken[v.Name] = s.Name
		}
	}
	if c.Okta != nil {
		for _, name := range okta.Variables() {
			taken[name] = "okta"
		}
	}
	if backend, ok := taken[variable]; ok {
		p.add(hint.New("OAUTH_TOKEN_VARIABLE: "+variable+" belongs to "+backend, "name another variable in OAUTH_TOKEN_VARIABLE"))
	}
}

func (p *problems) tokenType(variable, value string) string {
	uri, err := oauth.TokenType(value)
	if err != nil {
		p.value(variable, value, "jwt, id_token, access_token or a URI")
	}
	return uri
}

// isVariableName tells whether s can be the name of a variable that a token may be put into: not one of the shell's own,
// one by which programs are found and loaded, or one that signs in to a cloud.
func isVariableName(s string) bool {
	if !charset.Only(s, charset.Word, 1, 100) || charset.Only(s[:1], charset.Digit, 1, 1) {
		return false
	}
	taken := []string{
		"PATH", "IFS", "ENV", "HOME", "UID", "EUID", "PPID", "SHELLOPTS", "PS4", "CDPATH",
		"NODE_OPTIONS", "NODE_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT",
		"BOTO_CONFIG", "DOCKER_CONFIG", "GCLOUD_PROJECT",
	}
	prefixes := []string{"LD_", "BASH", "AWS_", "GOOGLE_", "CLOUDSDK_", "BITBUCKET_", "VAULT_"}
	return !slices.Contains(taken, s) && !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(s, prefix) })
}

// services are the backends that differ in data alone.
func (p *problems) services(v serviceEnvironment) []oauth.Service {
	var all []oauth.Service
	if p.together("JFROG_URL", "JFROG_OIDC_PROVIDER") {
		p.name("JFROG_OIDC_PROVIDER", v.JFrogProvider)
		p.name("JFROG_PROJECT", v.JFrogProject)
		all = append(all, oauth.JFrog(p.endpoint("JFROG_URL", v.JFrogURL), v.JFrogProvider, v.JFrogProject))
	}
	if p.together("", "CLOUDSMITH_ORG", "CLOUDSMITH_SERVICE") {
		p.slug("CLOUDSMITH_ORG", v.CloudsmithOrg)
		p.slug("CLOUDSMITH_SERVICE", v.CloudsmithService)
		all = append(all, oauth.Cloudsmith(v.CloudsmithOrg, v.CloudsmithService))
	}
	if p.together("DATABRICKS_HOST", "DATABRICKS_CLIENT_ID") {
		p.name("DATABRICKS_CLIENT_ID", v.DatabricksClientID)
		host := v.DatabricksHost
		if u, err := url.Parse(host); err == nil && u.Scheme == "" && host != "" {
			host = "https://" + host // Databricks' own clients take the host alone
		}
		all = append(all, oauth.Databricks(p.endpoint("DATABRICKS_HOST", host), v.DatabricksClientID))
	}
	if v.PulumiOrg != "" {
		p.slug("PULUMI_ORG", v.PulumiOrg)
		all = append(all, oauth.Pulumi(v.PulumiOrg))
	}
	return all
}

func (p *problems) slug(variable, value string) {
	if value != "" && (!charset.Only(value, charset.Word+".-", 1, 200) || value == "." || value == "..") {
		p.value(variable, value, "a name of letters, digits, dots, dashes and underscores")
	}
}
