// Package explain is the command that prints what to configure so that exactly one identity is let in. Both programs have it.
package explain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/identity"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/visible"
)

// Command is the command.
func Command() cli.Command {
	return cli.Command{Name: "explain", Usage: usage, Options: options(), Run: run}
}

func options() []cli.Option {
	const id, isID = "[a-z0-9-]{4,32}", "4 to 32 small letters, digits and hyphens"
	return append([]cli.Option{
		{Name: "format", Value: "FORMAT", Pattern: "text|json|terraform", Expected: "text, json or terraform", Usage: "text (the default), json, or terraform"},
		{Name: "aws-account", Value: "ID", Pattern: "[0-9]{12}", Expected: "an account id of 12 digits", Usage: "fills in ACCOUNT_ID"},
		{Name: "gcp-project-number", Value: "NUMBER", Pattern: "[0-9]+", Expected: "the project's number, not its id", Usage: "fills in PROJECT_NUMBER"},
		{Name: "gcp-pool", Value: "ID", Pattern: id, Expected: isID, Usage: "fills in POOL"},
		{Name: "gcp-provider", Value: "ID", Pattern: id, Expected: isID, Usage: "fills in PROVIDER"},
		{Name: "gcp-service-account", Value: "EMAIL", Pattern: `[0-9A-Za-z._-]+@[0-9A-Za-z.-]+`, Expected: "a service account's e-mail", Usage: "fills in SERVICE_ACCOUNT"},
	}, identity.Options()...)
}

func usage(program string) string {
	return "Usage: " + program + ` explain [FLAG…]

Prints the claims of a step's identity, and what to configure so that exactly this identity is let in: AWS, Google Cloud,
Terraform for both, Vault, Okta Privileged Access. It never prints the token. Without a flag that says otherwise the identity
is the one of BITBUCKET_STEP_OIDC_TOKEN. Flags:

` + cli.Describe(options()) + `
Exit status: 0 done; 2 the command line or the identity is wrong. It never sends anything. Variables:
BITBUCKET_STEP_OIDC_TOKEN, TIMEOUT, DEBUG.
`
}

// explained is what explain has to print.
type explained struct {
	setup.Explanation
	id       bitbucket.Identity
	places   setup.Places // with placeholders
	now      time.Time
	duration time.Duration
}

func run(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	a.NoFiles()
	now, duration := a.Moment("now", time.Now()), identity.Duration(a)
	id := identity.Read(ctx, a, now)
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	places := setup.Places{
		AWSAccount: a.Text("aws-account"), GCPProjectNumber: a.Text("gcp-project-number"), GCPPool: a.Text("gcp-pool"),
		GCPProvider: a.Text("gcp-provider"), GCPServiceAccount: a.Text("gcp-service-account"),
	}
	e, err := setup.Explain(id, places)
	if err != nil {
		return c.Fail(hint.With(err, "no configuration can let in exactly this identity: see where the claims come from"), cli.Misused)
	}
	identity.WarnExpired(c, id, now)
	warnMissing(c, id)
	switch a.Text("format") {
	case "json":
		c.Lines(document.Indented(e))
	case "terraform":
		text, err := setup.Terraform(id, places, duration)
		if err != nil {
			return c.Fail(err, cli.Failed)
		}
		c.Lines(text)
	default:
		c.Lines(explained{e, id, places.Known(), now, duration}.text())
	}
	return cli.Done
}

// warnMissing warns of claims that a step's token always has, and that the given claims have only in the subject.
func warnMissing(c *cli.Console, id bitbucket.Identity) {
	for _, claim := range []struct{ name, value string }{
		{"repositoryUuid", id.Claims.Repository()}, {"deploymentEnvironmentUuid", id.Claims.Environment()},
	} {
		if claim.value != "" && id.All[claim.name] != claim.value {
			c.Warn("the claims have no " + claim.name + ": what is printed for Google Cloud, Vault and Okta reads sub instead")
		}
	}
}

// A Section is what to configure in one service.
type Section struct {
	Target      string // such as aws
	Title, Body string // the body can be pasted: commands and documents
}

// Sections are what to configure so that exactly one identity is let in, with Terraform's at the end.
func Sections(id bitbucket.Identity) ([]Section, error) {
	e, err := setup.Explain(id, setup.Places{})
	if err != nil {
		return nil, err
	}
	terraform, err := setup.Terraform(id, setup.Places{}, time.Hour)
	if err != nil {
		return nil, err
	}
	x := explained{Explanation: e, id: id, places: setup.Places{}.Known(), duration: time.Hour}
	return append(x.sections(), Section{"terraform", "Terraform: AWS and Google Cloud", terraform}), nil
}

func (x explained) sections() []Section {
	return []Section{
		{"aws", "AWS: the OIDC provider, once for each account", x.awsProvider()},
		{"aws", "AWS: the role and its trust policy; for a role that is there: aws iam update-assume-role-policy", x.awsRole()},
		{"gcp", "Google Cloud: the pool and its provider", x.gcpProvider()},
		{"gcp", "Google Cloud: let the step act as a service account", x.gcpBinding()},
		{"vault", "Vault: the issuer of the JWT auth method, and a role; token_policies is for you to add", x.vault()},
		{"okta", "Okta Privileged Access: a workload connection, for POST /v1/teams/TEAM/connections/workloads", x.okta()},
		{"azure", "Azure", setup.Azure},
	}
}

// text is everything, each section below a line that begins with #. The commands can be pasted into a shell.
func (x explained) text() string {
	text := []string{"# The claims" + x.remarks() + "\n" + x.claims()}
	for _, s := range x.sections() {
		text = append(text, "# "+s.Title+"\n"+s.Body)
	}
	return strings.Join(text, "\n\n")
}

// remarks say what the claims do not say by themselves.
func (x explained) remarks() string {
	var all string
	if x.id.MadeUp() {
		all += "; step and pipeline are made up"
	}
	if e := x.id.Expired(x.now); e != "" {
		all += "; " + e
	}
	return all
}

func (x explained) claims() string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(x.Claims)) {
		value, isText := x.Claims[name].(string)
		if !isText {
			value = document.Tight(x.Claims[name])
		}
		lines = append(lines, fmt.Sprintf("%-26s %s", visible.Text(name), visible.Text(value)))
	}
	return strings.Join(lines, "\n")
}

func (x explained) awsProvider() string { return setup.AWSCreateProvider(x.id.Claims) }

func (x explained) awsRole() string {
	text := shell.Document("cat > trust.json", document.Indented(x.AWS.TrustPolicy)) + "\n" +
		"aws iam create-role --role-name " + setup.RoleName + " --assume-role-policy-document file://trust.json"
	if x.duration > time.Hour { // the default of MaxSessionDuration
		text += fmt.Sprintf(" \\\n  --max-session-duration %d", int(x.duration.Seconds()))
	}
	return text
}

func (x explained) gcpProvider() string {
	pool := setup.GCPPoolName(x.places.GCPProjectNumber, x.places.GCPPool)
	const newLine = " \\\n  "
	return "gcloud iam workload-identity-pools create " + shell.Word(pool) + "\n" +
		setup.GCPProviderCommand("create-oidc", pool+"/providers/"+x.places.GCPProvider) +
		newLine + strings.Join(setup.GCPProviderFlags(x.id.Claims), newLine)
}

func (x explained) gcpBinding() string {
	return setup.GCPBinding(x.places.GCPServiceAccount, x.GCP.Member)
}

func (x explained) vault() string {
	issuer := shell.Word(x.id.Claims.Issuer)
	return "vault write auth/jwt/config oidc_discovery_url=" + issuer + " \\\n  bound_issuer=" + issuer + "\n" +
		shell.Document("vault write auth/jwt/role/"+setup.RoleName+" -", document.Indented(x.Vault.Role))
}

func (x explained) okta() string {
	text := document.Indented(x.Okta.Connection)
	if len(x.id.Claims.Audience) > 1 {
		text += "\n# Whether EQUALS takes one of several audiences is not known: prefer a step with plain `oidc: true`."
	}
	return text
}
