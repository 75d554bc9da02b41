package backends

import (
	"errors"
	"slices"
	"strings"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oauth"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/transport"
)

func oauthVariables() []config.Variable {
	return []config.Variable{
		{Name: "OAUTH_TOKEN_URL", Main: true, Peers: []string{"OAUTH_TOKEN_ENDPOINT", "OAUTH_URL", "OAUTH_ENDPOINT"}, Means: "URL of any OAuth 2.0 token endpoint that accepts a JWT of another issuer."},
		{Name: "OAUTH_GRANT", Default: oauth.TokenExchange, Peers: []string{"OAUTH_GRANT_TYPE"}, Means: "Grant: `token-exchange` (RFC 8693) or `jwt-bearer` (RFC 7523)."},
		{Name: "OAUTH_AUDIENCE", Means: "Value of the parameter `audience`."},
		{Name: "OAUTH_RESOURCE", Means: "Value of the parameter `resource`."},
		{Name: "OAUTH_SCOPES", List: true, Spaces: true, Means: "List of scopes."},
		{Name: "OAUTH_SUBJECT_TOKEN_TYPE", Default: "jwt", Means: "Type of the step's token: `jwt`, `id_token`, `access_token`, or a full URI."},
		{Name: "OAUTH_REQUESTED_TOKEN_TYPE", Means: "Requested type of token, in the forms of `OAUTH_SUBJECT_TOKEN_TYPE`."},
		{Name: "OAUTH_CLIENT_ID", Means: "Client id, if the server requires a client (HTTP Basic)."},
		{Name: "OAUTH_CLIENT_SECRET", Secret: true, Means: "Secret of the client: a secured variable."},
		{Name: "OAUTH_PARAMETERS", List: true, Spaces: true, Means: "List of `name=value` added to the form, such as `connector_id=bitbucket`."},
		{Name: "OAUTH_TOKEN_VARIABLE",
			Means: "Name of a variable that `env.sh` fills with the token. It ends in `_TOKEN`, `_KEY`, `_PASSWORD` or `_SECRET`."},
	}
}

func configureOAuth(v *config.Vars, _ oidc.Token) maker {
	url := v.Text("OAUTH_TOKEN_URL")
	if url == "" {
		v.HalfConfigured("OAUTH_TOKEN_URL", "OAUTH_GRANT", "OAUTH_AUDIENCE", "OAUTH_RESOURCE", "OAUTH_SCOPES", "OAUTH_SUBJECT_TOKEN_TYPE",
			"OAUTH_REQUESTED_TOKEN_TYPE", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_PARAMETERS", "OAUTH_TOKEN_VARIABLE")
		return nil
	}
	e := oauth.Endpoint{
		URL: url, Grant: v.Text("OAUTH_GRANT"), Audience: name(v, "OAUTH_AUDIENCE"), Resource: v.Text("OAUTH_RESOURCE"), Scopes: v.List("OAUTH_SCOPES"),
		ClientID: name(v, "OAUTH_CLIENT_ID"), ClientSecret: v.Secret("OAUTH_CLIENT_SECRET"), TokenVariable: tokenVariable(v),
		SubjectTokenType: tokenType(v, "OAUTH_SUBJECT_TOKEN_TYPE"), RequestedTokenType: tokenType(v, "OAUTH_REQUESTED_TOKEN_TYPE"),
		Parameters: parameters(v),
	}
	if err := transport.CheckURL(url); err != nil {
		v.Reason("OAUTH_TOKEN_URL", err, "a URL such as https://host.example.com/oauth/token (http is for loopback hosts only)")
	}
	if e.Grant != oauth.TokenExchange && e.Grant != oauth.JWTBearer {
		v.Wrong("OAUTH_GRANT", e.Grant, "token-exchange or jwt-bearer")
	}
	if !v.IsSet("OAUTH_CLIENT_ID") {
		v.HalfConfigured("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")
	}
	s := e.Service()
	if name := s.Repeated(); name != "" {
		v.Add(hint.New("OAUTH_PARAMETERS: "+name+": login sends it already", "remove it from OAUTH_PARAMETERS, or set it by its own variable"))
	}
	return makeService(s)
}

func parameters(v *config.Vars) []oauth.Parameter {
	var all []oauth.Parameter
	for _, item := range v.List("OAUTH_PARAMETERS") {
		name, value, ok := strings.Cut(item, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			v.Wrong("OAUTH_PARAMETERS", item, "name=value")
			continue
		}
		all = append(all, oauth.Parameter{Name: name, Value: strings.TrimSpace(value)})
	}
	return all
}

func tokenType(v *config.Vars, variable string) string {
	text := v.Text(variable)
	if text == "" {
		return ""
	}
	uri, err := oauth.TokenType(text)
	if err != nil {
		v.Wrong(variable, text, "jwt, id_token, access_token or a URI")
	}
	return uri
}

// tokenVariable is the name of the variable that env.sh fills. Its end says that it holds a secret: no variable of a shell, a loader or
// a tool that is anything else has such a name. Those that sign in to a cloud, or that another backend of this login sets, are refused.
func tokenVariable(v *config.Vars) string {
	const variable = "OAUTH_TOKEN_VARIABLE"
	text := v.Text(variable)
	ends := func(end string) bool { return strings.HasSuffix(text, end) && len(text) > len(end) }
	begins := func(prefix string) bool { return strings.HasPrefix(text, prefix) }
	switch {
	case text == "":
	case !charset.Only(text, charset.Word, 1, 100) || charset.Only(text[:1], charset.Digit, 1, 1) ||
		!slices.ContainsFunc([]string{"_TOKEN", "_KEY", "_PASSWORD", "_SECRET"}, ends):
		v.Wrong(variable, text, "a name that ends in _TOKEN, _KEY, _PASSWORD or _SECRET, such as SHOP_TOKEN")
	case slices.ContainsFunc([]string{"LD_", "BASH", "AWS_", "GOOGLE_", "CLOUDSDK_", "BITBUCKET_", "VAULT_"}, begins):
		v.Reason(variable, errors.New("a name that signs in to a cloud, or that Bitbucket has"), "another name, such as SHOP_TOKEN")
	}
	for _, k := range kinds() {
		if slices.Contains(k.sets, text) && v.Judged(k.name) && v.IsSet(k.variables()[0].Name) {
			v.Add(hint.New(variable+": "+text+" belongs to "+k.name, "name another variable in "+variable))
		}
	}
	return text
}

func makeService(s oauth.Service) maker {
	return func(_ func(string) string, trace func(string)) federation.Backend { return oauth.New(s, trace) }
}
