package live

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"bitbucket-oidc/internal/secret"
)

// Vault says which mounts of the JWT auth method to read.
type Vault struct {
	Addr  string // base URL of the one server that gets Token
	Token secret.Text

	Mounts []Mount

	RootCAs *x509.CertPool // authorities to trust; nil means the system's
}

// A Mount is a mount of the JWT auth method.
type Mount struct {
	URL       string // such as https://vault.example/v1/auth/jwt
	Namespace string
}

const rolesOfVaultAtOnce = 8

func readVault(ctx context.Context, c Config) []Reading {
	readings := make([]Reading, len(c.Vault.Mounts))
	for i, m := range c.Vault.Mounts {
		readings[i] = c.mount(ctx, m)
	}
	return readings
}

// mount reads the roles of a mount and its configuration.
func (c Config) mount(ctx context.Context, m Mount) Reading {
	r := Reading{Source: "vault:" + m.URL}
	switch {
	case c.Vault.Token.Reveal() == "":
		r.Err = errNoCredential("Vault")
		return r
	case !strings.HasPrefix(m.URL, c.Vault.Addr+"/v1/") || c.Vault.Addr == "":
		r.Err = errors.New("the token is for the server of VAULT_ADDR, which is another one")
		return r
	}
	a := asker{client: c.client(c.Vault.RootCAs, nil), header: http.Header{}, reason: func([]byte) string { return "" }}
	a.header.Set("X-Vault-Token", c.Vault.Token.Reveal())
	a.header.Set("X-Vault-Request", "true")
	if m.Namespace != "" {
		a.header.Set("X-Vault-Namespace", m.Namespace)
	}
	var config json.RawMessage
	configured := a.get(ctx, http.MethodGet, m.URL+"/config", "reading the mount's configuration", &config)
	if configured == nil {
		r.Documents = append(r.Documents, Document{Target: m.URL, Data: line(config)})
	}
	var names struct {
		Data struct{ Keys []string }
	}
	err := a.get(ctx, "LIST", m.URL+"/role", "listing the roles", &names)
	if err != nil && !errors.Is(err, errAbsent) { // there is nothing to list: Vault says so with 404
		r.Err = errors.Join(configured, err)
		return r
	}
	documents, errs := make([]Document, len(names.Data.Keys)), make([]error, len(names.Data.Keys))
	several(ctx, len(documents), rolesOfVaultAtOnce, func(i int) {
		name := names.Data.Keys[i]
		var role json.RawMessage
		errs[i] = a.get(ctx, http.MethodGet, m.URL+"/role/"+url.PathEscape(name), "reading the "+named("role", name), &role)
		documents[i] = Document{Target: m.target(name), Data: line(role)}
	})
	c.progress("%s: %d roles", r.Source, len(documents))
	r.Documents = append(r.Documents, slices.DeleteFunc(documents, func(d Document) bool { return len(d.Data) == 0 })...)
	r.Err = errors.Join(configured, first(errs))
	return r
}

// target is the name that an access map has for a role.
func (m Mount) target(role string) string {
	name := m.URL + "/role/" + role
	if m.Namespace != "" {
		name += "?namespace=" + url.QueryEscape(m.Namespace)
	}
	return name
}
