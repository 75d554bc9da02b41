package backends

import (
	"strings"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/vault"
)

func vaultVariables() []config.Variable {
	return []config.Variable{
		{Name: "VAULT_ADDR", Main: true, Peers: []string{"VAULT_URL", "VAULT_ADDRESS", "VAULT_SERVER_URL"},
			Means: "Base URL of HashiCorp Vault or OpenBao. It configures nothing on its own."},
		{Name: "VAULT_ROLE", Main: true, Decides: true, Peers: []string{"VAULT_JWT_ROLE", "VAULT_AUTH_ROLE", "VAULT_OIDC_ROLE", "VAULT_ROLE_NAME"}, Means: "Role of the JWT authentication."},
		{Name: "VAULT_AUTH_MOUNT", Default: "jwt", Peers: []string{"VAULT_AUTH_PATH", "VAULT_MOUNT", "VAULT_JWT_PATH", "VAULT_JWT_MOUNT"},
			Means: "Mount of the JWT authentication."},
		{Name: "VAULT_NAMESPACE", Means: "Namespace of Vault."},
		{Name: "VAULT_CACERT", Peers: []string{"VAULT_CA_CERTIFICATE"},
			Means: "Path of a PEM file, relative to the build directory, with the certificate authorities to trust for Vault instead of the public ones."},
	}
}

func configureVault(v *config.Vars, _ oidc.Token) maker {
	if !together(v, "VAULT_ADDR", "VAULT_ROLE") {
		v.HalfConfigured("VAULT_ROLE", "VAULT_AUTH_MOUNT")
		return nil
	}
	c := vaultServer(v)
	c.Role = name(v, "VAULT_ROLE")
	return makeVault(c)
}

// revokeVault takes what names the server: the token to end says the rest.
func revokeVault(v *config.Vars) maker {
	if !v.IsSet("VAULT_ADDR") {
		v.Add(hint.New("vault default: not revoked: VAULT_ADDR is not set", "give logout the VAULT_… variables of login"))
		return nil
	}
	c := vaultServer(v)
	v.Network()
	return makeVault(c)
}

// vaultServer says where Vault is.
func vaultServer(v *config.Vars) vault.Config {
	mount := v.Text("VAULT_AUTH_MOUNT")
	c := vault.Config{
		Addr: v.Endpoint("VAULT_ADDR"), Mount: strings.TrimPrefix(strings.Trim(mount, "/"), "auth/"), Namespace: name(v, "VAULT_NAMESPACE"),
	}
	if !charset.Only(c.Mount, charset.Word+"./-", 1, 200) || strings.Contains(c.Mount, "..") {
		v.Wrong("VAULT_AUTH_MOUNT", mount, "the path of the JWT authentication, such as jwt")
	}
	c.RootCAs, c.CACert = v.Authorities("VAULT_CACERT")
	return c
}

func makeVault(c vault.Config) maker {
	return func(_ func(string) string, trace func(string)) federation.Backend {
		c.Trace = trace
		return vault.New(c)
	}
}
