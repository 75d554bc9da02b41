package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/test/cloud"
)

// verbs are ways to print that show more than the program ever does.
var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x"}

// reading is what the program holds of its variables.
type reading struct {
	Vars  *config.Vars
	Token oidc.Token
	Set   backends.Set
}

// configured is the program's own reading of variables for all backends that can be reached without a proxy, which are all
// kinds of them, in a world of their own.
func configured(t *testing.T) (reading, []federation.Backend, *cloud.World, *cloud.Others) {
	t.Helper()
	world, err := cloud.StartWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	others, err := cloud.StartOthers(world.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(others.Close)
	others.OAuth.Configure(func(c *cloud.OAuthConfig) { c.ClientID, c.ClientSecret = "pipelines", "hunter2 of the client" })

	const registry = cloud.AWSAccount + ".dkr.ecr.eu-west-1.amazonaws.com"
	for _, variable := range append(world.Endpoints(),
		"BITBUCKET_CLONE_DIR="+t.TempDir(),
		"BITBUCKET_STEP_OIDC_TOKEN="+world.Issuer.Token(cloud.DefaultStep()),
		"AWS_OIDC_ROLE_ARN="+cloud.RoleARN, "AWS_SESSION_NAME=printed", "AWS_ECR_REGISTRIES="+registry, "AWS_ENDPOINT_URL_ECR="+world.STS.URL,
		"GCP_WORKLOAD_IDENTITY_PROVIDER="+cloud.ProviderName, "GCP_SERVICE_ACCOUNT="+cloud.ServiceAccountEmail,
		"GCP_ID_TOKEN_AUDIENCE=https://shop.example.com",
		"VAULT_ADDR="+others.Servers["vault"].URL, "VAULT_ROLE="+cloud.VaultRole,
		"OKTA_ORG_URL="+others.Servers["okta"].URL, "OKTA_TEAM="+cloud.OktaTeam, "OKTA_WORKLOAD_CONNECTION="+cloud.OktaConnection,
		"OAUTH_TOKEN_URL="+others.Servers["oauth"].URL+"/oauth/token", "OAUTH_AUDIENCE="+cloud.OAuthAudience,
		"OAUTH_CLIENT_ID=pipelines", "OAUTH_CLIENT_SECRET=hunter2 of the client",
		"JFROG_URL="+others.Servers["jfrog"].URL, "JFROG_OIDC_PROVIDER="+cloud.JFrogProvider,
		"DATABRICKS_HOST="+others.Servers["databricks"].URL, "DATABRICKS_CLIENT_ID="+cloud.DatabricksClientID,
	) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	cfg := reading{Vars: config.Take(backends.Variables())}
	cfg.Token = cfg.Vars.Token()
	cfg.Set = backends.Load(cfg.Vars, cfg.Token)
	if err := cfg.Vars.Err(); err != nil {
		t.Fatal(err)
	}
	all := cfg.Set.Make(func(path string) string { return "/build/" + path }, nil)
	if len(all) != 7 {
		t.Fatalf("%d backends, want 7", len(all))
	}
	return cfg, all, world, others
}

// TestValuesPrintNoSecret: neither the configuration nor what was obtained gives a secret away, however it is printed.
func TestValuesPrintNoSecret(t *testing.T) {
	cfg, backends, world, others := configured(t)
	grants, outcomes, err := federation.Exchange(t.Context(), cfg.Token, backends)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range backends {
		checkOutcomes(t, b, grants[i])
	}
	secrets := append(world.Secrets(), others.Secrets()...)
	if len(secrets) < 12 {
		t.Fatalf("%d secrets only", len(secrets))
	}
	for name, value := range map[string]any{
		"configuration": cfg, "variables": *cfg.Vars, "token": cfg.Token, "backends": backends, "grants": grants, "outcomes": outcomes,
	} {
		for _, verb := range verbs {
			if err := checkPrinted(fmt.Sprintf(verb, value), secrets); err != nil {
				t.Errorf("%s, %s: %v", name, verb, err)
			}
		}
		if text, err := json.Marshal(value); err == nil {
			if err := checkPrinted(string(text), secrets); err != nil {
				t.Errorf("%s, JSON: %v", name, err)
			}
		}
	}
}

// checkOutcomes: each target of a backend ends in one outcome, whatever happened.
func checkOutcomes(t *testing.T, b federation.Backend, grant federation.Grant) {
	t.Helper()
	var asked, ended []string
	for _, target := range b.Targets() {
		asked = append(asked, fmt.Sprintf("%+v", target))
	}
	for _, o := range grant.Outcomes {
		ended = append(ended, fmt.Sprintf("%+v", o.Target))
		if granted := o.Err == nil; granted && (o.Operation == "" || o.Principal == "" || o.Ended.Before(o.Started)) {
			t.Errorf("%s %s: an outcome that lacks something: %+v", o.Target.Backend, o.Target.Name, o)
		}
	}
	if len(asked) == 0 || !slices.Equal(asked, ended) {
		t.Errorf("%s: asked for %q, outcomes of %q", b.Name(), asked, ended)
	}
}

// TestErrorsPrintNoSecret: a server may repeat everything that it was told; no error contains it, at any depth.
func TestErrorsPrintNoSecret(t *testing.T) {
	cfg, backends, world, others := configured(t)
	servers := []*cloud.Server{world.STS, world.GoogleSTS}
	for _, s := range others.Servers {
		servers = append(servers, s)
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden} {
		for _, s := range servers {
			s.Inject(cloud.Echo(status))
		}
		for _, backend := range backends {
			grant, err := backend.Exchange(t.Context(), cfg.Token)
			checkOutcomes(t, backend, grant)
			if err == nil {
				t.Errorf("%s takes its own request for an answer", backend.Name())
				continue
			}
			levels := 0
			for _, level := range unwrapped(err) {
				levels++
				for _, verb := range verbs {
					if err := checkPrinted(fmt.Sprintf(verb, level), append(world.Secrets(), others.Secrets()...)); err != nil {
						t.Errorf("%s, status %d: a %T, printed as %s: %v", backend.Name(), status, level, verb, err)
					}
				}
			}
			if levels < 2 {
				t.Errorf("%s: an error without a cause: %v", backend.Name(), err)
			}
		}
	}
}

// unwrapped is an error and all that it wraps.
func unwrapped(err error) []error {
	all := []error{err}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			all = append(all, unwrapped(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, unwrapped(inner)...)
		}
	}
	return all
}

// checkPrinted is [cloud.CheckText], and looks for the secrets in hexadecimal as well.
func checkPrinted(text string, secrets []cloud.Secret) error {
	for _, s := range secrets {
		if strings.Contains(text, fmt.Sprintf("%x", s.Value)) {
			return fmt.Errorf("it holds a secret in hexadecimal: %s", s)
		}
	}
	return cloud.CheckText(text, secrets)
}

// panics are ways to panic with secrets at hand.
func panics(cfg reading, grants []federation.Grant, err error) map[string]func() {
	return map[string]func(){
		"with the configuration": func() { panic(cfg) },
		"with the token":         func() { panic(cfg.Token) },
		"with credentials":       func() { panic(grants) },
		"with text":              func() { panic(fmt.Sprintf("%+v %#v %+v %#v", cfg, cfg, grants, grants)) },
		"with an error":          func() { panic(fmt.Errorf("%+v: %w", cfg.Token, err)) },
		"in a call":              func() { panic(fall(cfg, cfg.Token.Reveal(), grants)) },
	}
}

// fall is called with a secret in the open, as the arguments of a call stand in a trace.
//
//go:noinline
func fall(_ reading, token string, grants []federation.Grant) int {
	var none []int
	return none[len(token)+len(grants)]
}

// TestPanicPrintsNoSecret: the trace of a panic shows no secret, although Go prints everything.
func TestPanicPrintsNoSecret(t *testing.T) {
	if way := os.Getenv("PANIC"); way != "" {
		cfg, backends, world, others := configured(t)
		grants, _, err := federation.Exchange(t.Context(), cfg.Token, backends)
		if err != nil {
			t.Fatal(err)
		}
		world.STS.Inject(cloud.Echo(http.StatusForbidden))
		_, err = backends[0].Exchange(t.Context(), cfg.Token)
		secrets := append(world.Secrets(), others.Secrets()...)
		if err := tellSecrets(os.Getenv("SECRETS"), secrets); err != nil {
			t.Fatal(err)
		}
		panics(cfg, grants, err)[way]()
	}
	for way := range panics(reading{}, nil, errors.New("none")) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			file := t.TempDir() + "/secrets"
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPanicPrintsNoSecret$")
			child.Env = append(os.Environ(), "PANIC="+way, "SECRETS="+file, "GOTRACEBACK=system")
			out, err := child.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(string(out), "goroutine ") {
				t.Fatalf("it did not panic: %v\n%s", err, out)
			}
			secrets, err := toldSecrets(file)
			if err != nil || len(secrets) < 12 {
				t.Fatalf("%d secrets: %v", len(secrets), err)
			}
			if err := checkPrinted(string(out), secrets); err != nil {
				t.Error(err)
			}
		})
	}
}

// tellSecrets leaves a child's secrets for its parent.
func tellSecrets(file string, secrets []cloud.Secret) error {
	text, err := json.Marshal(secrets)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func toldSecrets(file string) ([]cloud.Secret, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var secrets []cloud.Secret
	return secrets, json.Unmarshal(text, &secrets)
}
