// Package config holds every variable, its default and its check. It is the only reader of the environment, and it lists
// the backends. All that is wrong is told in one run.
package config

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/gcp"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oauth"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/okta"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/vault"
)

// Config is what the variables ask for.
type Config struct {
	Token  oidc.Token
	Output handoff.Config

	// MinimumLifetime is zero if there is none.
	MinimumLifetime time.Duration

	// MaxTime is how long the step may run, or zero where bitbucket-pipelines.yml does not tell.
	MaxTime time.Duration

	// The backends that are configured.
	AWS      *aws.Config
	GCP      *gcp.Config
	Vault    *vault.Config
	Okta     *okta.Config
	Services []oauth.Service // the generic endpoint and the services that are only data
}

// General is what every command obeys, known before anything else is checked.
type General struct {
	Command   string
	Arguments []string // of the command
	Timeout   time.Duration
	Debug     bool

	// Warnings are about variables that are probably misspelt.
	Warnings []string
}

// LoadGeneral reads what every command obeys, and must come first. With an error, what could not be read has its default.
func LoadGeneral() (General, error) {
	prepareStandard()
	env, err := readEnvironment()
	if err != nil {
		return General{}, err
	}
	var p problems
	g := General{Command: env.Command, Warnings: misspelt()}
	if g.Timeout = p.duration("TIMEOUT", env.Timeout, time.Millisecond, 24*time.Hour); len(p) > 0 {
		g.Timeout = time.Minute
	}
	g.Debug = p.boolean("DEBUG", env.Debug)
	g.Arguments = p.list("ARGUMENTS", env.Arguments)
	return g, errors.Join(p...)
}

// Load reads what a login needs. With an error, the parts that are right are filled in all the same.
func Load() (Config, error) {
	env, err := readEnvironment()
	if err != nil {
		return Config{}, err
	}
	var p problems
	c := Config{Output: p.output(env), Token: p.token(env)}
	if env.MinimumLifetime != "" {
		c.MinimumLifetime = p.duration("MINIMUM_LIFETIME", env.MinimumLifetime, 0, 1000*time.Hour)
	}
	c.MaxTime, _ = pipelines.MaxTime(cmp.Or(env.CloneDir, "."), pipelines.Step{
		Deployment: c.Token.Claims.Environment() != "", Name: env.Environment,
	})
	before := len(p)
	c.AWS = p.aws(env)
	c.GCP = p.gcp(env.GCP)
	c.Vault = p.vault(env.Vault, env.CloneDir)
	c.Okta = p.okta(env.Okta)
	if endpoint := p.oauth(env.OAuth); endpoint != nil {
		c.Services = append(c.Services, *endpoint)
	}
	c.Services = append(c.Services, p.services(env.Services)...)
	p.network(env)
	p.ownVariable(env.OAuth.TokenVariable, c)
	if len(p) == before && c.AWS == nil && c.GCP == nil && c.Vault == nil && c.Okta == nil && len(c.Services) == 0 {
		p.add(hint.New("no backend is configured",
			"set AWS_OIDC_ROLE_ARN for AWS, GCP_WORKLOAD_IDENTITY_PROVIDER for Google Cloud, or the variables of another backend"))
	}
	return c, errors.Join(p...)
}

// LoadOutput reads where the files are. Whose they become is nothing to whom removes them.
func LoadOutput() (handoff.Config, error) {
	env, err := readEnvironment()
	if err != nil {
		return handoff.Config{}, err
	}
	return handoff.Config{CloneDir: env.CloneDir, OutputDir: env.OutputDir}, nil
}

// LoadRevoker reads what it takes to revoke a backend's credentials. It is nil for a backend that cannot.
func LoadRevoker(backend string, trace func(line string)) (federation.Revoker, error) {
	env, err := readEnvironment()
	if err != nil || backend != "vault" {
		return nil, err
	}
	if env.Vault.Addr == "" {
		return nil, hint.New("vault default: not revoked: VAULT_ADDR is not set", "give logout the VAULT_… variables of login")
	}
	var p problems
	server := p.vaultServer(env.Vault, env.CloneDir)
	p.network(env)
	server.Trace = trace
	return vault.New(*server), errors.Join(p...)
}

// LoadToken reads the step's token.
func LoadToken() (oidc.Token, error) {
	env, err := readEnvironment()
	if err != nil {
		return oidc.Token{}, err
	}
	var p problems
	token := p.token(env)
	return token, errors.Join(p...)
}

// token reads the step's token, which must be there.
func (p *problems) token(env environment) oidc.Token {
	if env.Token == "" {
		p.add(hint.New("BITBUCKET_STEP_OIDC_TOKEN: missing", "add `oidc: true` to the step in bitbucket-pipelines.yml, beside `script:`"))
		return oidc.Token{}
	}
	token, err := oidc.Parse(env.Token)
	if err != nil {
		p.add(hint.With(err, "BITBUCKET_STEP_OIDC_TOKEN must hold the token as Bitbucket sets it: do not set it yourself"))
	}
	return token
}

func (p *problems) output(env environment) handoff.Config {
	return handoff.Config{CloneDir: env.CloneDir, OutputDir: env.OutputDir, Owner: p.owner(env.OutputOwner)}
}

// Backends makes the backends that c configures. path tells where a file of theirs will lie; trace is told of each attempt
// of a request.
func (c Config) Backends(path func(file string) string, trace func(line string)) []federation.Backend {
	var all []federation.Backend
	if c.AWS != nil {
		one := *c.AWS
		one.Path, one.Trace = path, trace
		all = append(all, aws.New(one))
	}
	if c.GCP != nil {
		one := *c.GCP
		one.Path, one.Trace = path, trace
		all = append(all, gcp.New(one))
	}
	if c.Vault != nil {
		one := *c.Vault
		one.Trace = trace
		all = append(all, vault.New(one))
	}
	if c.Okta != nil {
		one := *c.Okta
		one.Trace = trace
		all = append(all, okta.New(one))
	}
	for _, service := range c.Services {
		all = append(all, oauth.New(service, trace))
	}
	return all
}

// nobody stands for no user and no group where the system is asked for a change.
const nobody = 1<<32 - 1

func (p *problems) owner(text string) *handoff.Owner {
	if text == "" {
		return nil
	}
	user, group, both := strings.Cut(text, ":")
	uid, err := strconv.ParseUint(user, 10, 32)
	gid := int64(-1)
	if err == nil && both {
		var id uint64
		id, err = strconv.ParseUint(group, 10, 32)
		gid = int64(id)
	}
	if err != nil || uid == nobody || gid == nobody {
		p.value("OUTPUT_OWNER", text, "a numeric user, or user:group, such as 1000:1000")
		return nil
	}
	return &handoff.Owner{UID: int(uid), GID: int(gid)}
}

// halfConfigured reports each variable that is set though the one without which it means nothing is not.
func (p *problems) halfConfigured(main string, names ...string) {
	for _, name := range names {
		if isSet(name) {
			p.add(hint.New(name+": set without "+main, "set "+main+" as well, or remove "+name))
		}
	}
}

// endpoint checks a base URL and returns it without the slash at its end.
func (p *problems) endpoint(name, value string) string {
	if value == "" {
		return ""
	}
	if err := transport.CheckEndpoint(value); err != nil {
		p.reason(name, err, "a base URL such as https://host.example.com (http is for loopback hosts only)")
	}
	return strings.TrimSuffix(value, "/")
}
