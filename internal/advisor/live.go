package advisor

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/live"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/visible"
)

// LiveVariables name the credentials to read with, where they are not in OUTPUT_DIR, and the services to ask. The clouds' own tools
// read the same names, except for the endpoints of Google.
func LiveVariables() config.Group {
	return config.Group{Name: "live", Title: "Live reading (--live)", Variables: []config.Variable{
		{Name: "AWS_ACCESS_KEY_ID", Means: "With `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`: the keys to read AWS with."},
		{Name: "AWS_SECRET_ACCESS_KEY", Secret: true, Means: "See `AWS_ACCESS_KEY_ID`."},
		{Name: "AWS_SESSION_TOKEN", Secret: true, Means: "See `AWS_ACCESS_KEY_ID`."},
		{Name: "AWS_SHARED_CREDENTIALS_FILE", Means: "File with the keys of `AWS_PROFILE`."},
		{Name: "AWS_CONFIG_FILE", Means: "File with the settings of `AWS_PROFILE`."},
		{Name: "AWS_PROFILE", Means: "Profile to read with."},
		{Name: "AWS_REGION", Means: "Region, which decides the partition."},
		{Name: "AWS_ENDPOINT_URL_IAM", Means: "Base URL of AWS IAM; it takes precedence over `AWS_ENDPOINT_URL`."},
		{Name: "AWS_ENDPOINT_URL_STS", Means: "Base URL of AWS STS, for `--role-name`; it takes precedence over `AWS_ENDPOINT_URL`."},
		{Name: "AWS_ENDPOINT_URL", Means: "Base URL of every AWS service."},
		{Name: "AWS_CA_BUNDLE", Means: "PEM file of the certificate authorities to trust for AWS instead of the public ones."},
		{Name: "GOOGLE_OAUTH_ACCESS_TOKEN", Secret: true, Means: "Access token to read Google Cloud with."},
		{Name: "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", Means: "File with that access token."},
		{Name: "GCP_IAM_ENDPOINT", Means: "Base URL to use instead of `https://iam.googleapis.com`."},
		{Name: "GCP_CLOUDASSET_ENDPOINT", Means: "Base URL to use instead of `https://cloudasset.googleapis.com`."},
		{Name: "VAULT_ADDR", Means: "Base URL of the one Vault that gets the token."},
		{Name: "VAULT_TOKEN", Secret: true, Means: "Token to read Vault with."},
		{Name: "VAULT_CACERT", Means: "PEM file of the certificate authorities to trust for Vault instead of the public ones."},
	}}
}

// liveConfig is what --live reads: what the map wants to be read, and where its targets are.
func liveConfig(ctx context.Context, c *cli.Console, a *cli.Arguments, m *access.Map) live.Config {
	if !a.Given("live") {
		for _, name := range []string{"role-name", "accounts", "asset-scope"} {
			if a.Given(name) {
				a.Wrong(name, "needs --live")
			}
		}
		return live.Config{}
	}
	if a.Given("accounts") && !a.Given("role-name") {
		a.Wrong("accounts", "needs --role-name, the role to assume in each of them")
	}
	l := left{ctx, a, a.Vars}
	l.vars.Network()
	cfg := live.Config{Trace: c.Debug, Progress: c.Progress}
	if m == nil {
		return cfg
	}
	cfg.AWS, cfg.Google, cfg.Vault = l.aws(m), l.google(m), l.vault(m)
	if !cfg.AWS.Read && !cfg.Google.Read() && len(cfg.Vault.Mounts) == 0 && len(a.Files) == 0 && !a.Given("target") {
		a.Wrong("live", "the map names nothing that can be read: no target, and nothing under read")
	}
	return cfg
}

// lastUsed notes of roles that let in too many when they were last used: one that nobody uses can be deleted.
func lastUsed(ctx context.Context, c live.Config, differences []drift.Difference) {
	var roles []string
	for _, d := range differences {
		if strings.Contains(d.Target, ":role/") && (d.Kind == drift.Wider || d.Kind == drift.Unlisted) && !slices.Contains(roles, d.Target) {
			roles = append(roles, d.Target)
		}
	}
	used := live.LastUsed(ctx, c, roles)
	for i, d := range differences {
		if at, known := used[d.Target]; known && (d.Kind == drift.Wider || d.Kind == drift.Unlisted) {
			differences[i].LastUsed = "never"
			if !at.IsZero() {
				differences[i].LastUsed = at.UTC().Format(time.DateOnly)
			}
		}
	}
}

// left is what login left, and what names it.
type left struct {
	ctx  context.Context
	a    *cli.Arguments
	vars *config.Vars
}

// path is the file that a variable names, or else the one that login wrote to OUTPUT_DIR.
func (l left) path(name, written string) string {
	return cmp.Or(l.vars.Text(name), filepath.Join(l.vars.CloneDir(), l.vars.Text("OUTPUT_DIR"), written))
}

// secret is a variable's value, or else what is in a file, if there is one.
func (l left) secret(variable, file string) secret.Text {
	if l.vars.IsSet(variable) {
		return l.vars.Secret(variable)
	}
	data, err := cli.ReadFile(l.ctx, file)
	if err != nil {
		return secret.Text{} // each source reports that it has no credential
	}
	return secret.New(strings.TrimSpace(string(data)))
}

func (l left) aws(m *access.Map) live.AWS {
	v := l.vars
	everywhere := v.Endpoint("AWS_ENDPOINT_URL")
	c := live.AWS{
		Region:   v.Text("AWS_REGION"),
		Endpoint: cmp.Or(v.Endpoint("AWS_ENDPOINT_URL_IAM"), everywhere), STSEndpoint: cmp.Or(v.Endpoint("AWS_ENDPOINT_URL_STS"), everywhere),
		RoleName: l.a.Text("role-name"),
		Key: live.Key{
			ID: v.Text("AWS_ACCESS_KEY_ID"), Secret: v.Secret("AWS_SECRET_ACCESS_KEY"), Token: v.Secret("AWS_SESSION_TOKEN"),
			CredentialFile: l.path("AWS_SHARED_CREDENTIALS_FILE", "aws/credentials"), ConfigFile: l.path("AWS_CONFIG_FILE", "aws/config"), Profile: v.Text("AWS_PROFILE"),
		},
	}
	c.RootCAs, _ = v.Authorities("AWS_CA_BUNDLE")
	wanted := slices.Clone(m.Read.AWS)
	for _, t := range m.Targets() {
		if t.Kind == access.AWSRole {
			wanted = append(wanted, t.Account)
		}
	}
	slices.Sort(wanted)
	c.Accounts = slices.Compact(wanted)
	if l.a.Given("accounts") {
		c.Accounts = l.accounts(l.a.Text("accounts"))
	}
	c.Read = len(c.Accounts) > 0
	return c
}

var accountNumber = pattern.New(`^\d{12}$`)

// accounts are the account numbers of a file: one a line, with # before remarks.
func (l left) accounts(name string) []string {
	data, err := cli.ReadFile(l.ctx, name)
	if err != nil {
		l.a.Add(err)
		return nil
	}
	var all []string
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		text, _, _ := strings.Cut(line, "#")
		text = strings.TrimSpace(text)
		switch {
		case text == "":
		case !accountNumber.MatchString(text):
			l.a.Wrong("accounts", visible.Text(name)+": line "+strconv.Itoa(number)+": not an account number of 12 digits")
		case !slices.Contains(all, text):
			all = append(all, text)
		}
	}
	if len(all) == 0 {
		l.a.Wrong("accounts", visible.Text(name)+": no account in it")
	}
	return all
}

func (l left) google(m *access.Map) live.Google {
	v := l.vars
	c := live.Google{
		Providers: slices.Clone(m.Read.GCP), Scope: l.a.Text("asset-scope"),
		Endpoint: v.Endpoint("GCP_IAM_ENDPOINT"), AssetEndpoint: v.Endpoint("GCP_CLOUDASSET_ENDPOINT"),
	}
	for _, g := range m.Grants {
		for _, t := range g.Become {
			if t.Kind != access.ServiceAccount {
				continue
			}
			c.Projects = append(c.Projects, t.Project)
			if name, err := m.Through(g); err == nil {
				c.Providers = append(c.Providers, name)
			}
		}
	}
	for _, list := range []*[]string{&c.Projects, &c.Providers} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if len(c.Providers)+len(c.Projects) > 0 || c.Scope != "" {
		c.Token = l.secret("GOOGLE_OAUTH_ACCESS_TOKEN", l.path("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "gcp/access-token"))
	}
	return c
}

func (l left) vault(m *access.Map) live.Vault {
	c := live.Vault{Addr: l.vars.Endpoint("VAULT_ADDR")}
	c.RootCAs, _ = l.vars.Authorities("VAULT_CACERT")
	add := func(mount live.Mount) {
		if !slices.ContainsFunc(c.Mounts, func(had live.Mount) bool { return had.URL == mount.URL && (had == mount || mount.Namespace == "") }) {
			c.Mounts = append(c.Mounts, mount)
		}
	}
	for _, t := range m.Targets() {
		if t.Kind == access.VaultRole {
			add(live.Mount{URL: t.Mount, Namespace: t.Namespace})
		}
	}
	for _, url := range m.Read.Vault {
		add(live.Mount{URL: url})
	}
	if len(c.Mounts) > 0 {
		c.Token = l.secret("VAULT_TOKEN", filepath.Join(l.vars.CloneDir(), l.vars.Text("OUTPUT_DIR"), "vault/token"))
	}
	return c
}
