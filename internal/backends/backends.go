// Package backends turns variables into backends: it is the list of those that there are, each with its variables and what they
// configure.
package backends

import (
	"slices"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

// A kind is one backend: its variables, and what they configure.
type kind struct {
	name, title string
	variables   func() []config.Variable

	// configure is nil where nothing asks for the backend, or where something is wrong with its variables.
	configure func(*config.Vars, oidc.Token) maker

	// accounts are the accounts whose credentials may be written, if a variable limits them.
	accounts func(*config.Vars) []string

	// sets are the variables that env.sh gives a token.
	sets []string

	// revoke makes a backend that can end its credentials, from the variables that this needs; nil if the backend cannot.
	revoke func(*config.Vars) maker
}

// A maker makes a configured backend. path gives the path that a file of the backend will have; trace is called after each attempt of a
// request.
type maker func(path func(file string) string, trace func(line string)) federation.Backend

// kinds are the backends that there are, in the order of the documentation.
func kinds() []kind {
	return []kind{
		{name: "aws", title: "AWS", variables: awsVariables, configure: configureAWS, accounts: allowedAccounts},
		{name: "gcp", title: "Google Cloud", variables: gcpVariables, configure: configureGCP},
		{name: "vault", title: "Vault and OpenBao", variables: vaultVariables, configure: configureVault, revoke: revokeVault},
		{name: "okta", title: "Okta Privileged Access", variables: oktaVariables, configure: configureOkta, sets: []string{"OPA_TOKEN"}},
		{name: "oauth", title: "Any OAuth token endpoint", variables: oauthVariables, configure: configureOAuth},
		{name: "jfrog", title: "JFrog", variables: jfrogVariables, configure: configureJFrog, sets: []string{"JF_ACCESS_TOKEN", "JF_PASSWORD"}},
		{name: "cloudsmith", title: "Cloudsmith", variables: cloudsmithVariables, configure: configureCloudsmith, sets: []string{"CLOUDSMITH_API_KEY"}},
		{name: "databricks", title: "Databricks", variables: databricksVariables, configure: configureDatabricks, sets: []string{"DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET"}},
		{name: "pulumi", title: "Pulumi Cloud", variables: pulumiVariables, configure: configurePulumi, sets: []string{"PULUMI_ACCESS_TOKEN"}},
	}
}

// Variables are all variables that a user may set, in the order of the documentation.
func Variables() []config.Group {
	all := config.General()[:1]
	for _, k := range kinds() {
		all = append(all, config.Group{Name: k.name, Title: k.title, Backend: true, Variables: k.variables()})
	}
	return append(append(all, config.General()[1:]...), config.Standard())
}

// A Set is the backends that the variables configure.
type Set struct {
	Names           []string // in the order of the documentation
	AllowedAccounts []string // the AWS accounts with credentials that may be written; none means any
	make            []maker
}

// Load configures every backend that the variables ask for. Problems are added to v; the backends without a problem are returned all
// the same.
func Load(v *config.Vars, token oidc.Token) Set {
	g := v.Group()
	var s Set
	for _, k := range kinds() {
		if !v.Judged(k.name) {
			continue
		}
		one := v.Group()
		if k.accounts != nil {
			s.AllowedAccounts = k.accounts(one)
		}
		made := k.configure(one, token)
		if made != nil && !one.Failed() {
			s.make = append(s.make, made)
		}
		if made != nil || one.Failed() {
			s.Names = append(s.Names, k.name)
		}
	}
	v.Text("BITBUCKET_DEPLOYMENT_ENVIRONMENT") // says so if it was passed on and not replaced: rules and tags would take it for a name
	v.Confined(s.Names)
	v.Network()
	if !g.Failed() && len(s.make) == 0 {
		v.Add(nothing(v))
	}
	return s
}

// Has reports whether a backend is configured.
func (s Set) Has(name string) bool { return slices.Contains(s.Names, name) }

// Make makes the backends. path gives the path that a file of a backend will have; trace is called after each attempt of a request.
func (s Set) Make(path func(file string) string, trace func(line string)) []federation.Backend {
	var all []federation.Backend
	for _, one := range s.make {
		all = append(all, one(path, trace))
	}
	return all
}

// nothing is the error of a login that no variable configures. Its hints name the variables that were probably meant.
func nothing(v *config.Vars) error {
	return hint.New("no backend is configured", append(v.Traces(),
		"set AWS_OIDC_ROLE_ARN for AWS, GCP_WORKLOAD_IDENTITY_PROVIDER for Google Cloud, or the variables of another backend")...)
}

// LoadRevoker is a backend that can end the credentials that it obtained, or nil if the backend cannot. Problems are added to v.
func LoadRevoker(v *config.Vars, backend string, trace func(line string)) federation.Revoker {
	for _, k := range kinds() {
		if k.name != backend || k.revoke == nil {
			continue
		}
		g := v.Group()
		made := k.revoke(g)
		if made == nil || g.Failed() {
			return nil
		}
		revoker, _ := made(nil, trace).(federation.Revoker)
		return revoker
	}
	return nil
}

// together reports whether a backend is configured: whether any of its own variables is set. Then all of them must be, and its
// address too, which alone configures nothing, because steps have it for other tools.
func together(v *config.Vars, address string, own ...string) bool {
	i := slices.IndexFunc(own, v.IsSet)
	if i < 0 {
		return false
	}
	for _, name := range append([]string{address}, own...) {
		if name != "" && !v.IsSet(name) {
			v.Add(hint.New(own[i]+": set without "+name, "set "+name+" as well, or remove "+own[i]))
		}
	}
	return true
}
