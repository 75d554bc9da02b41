// Package identity reads whose trust a command is about: a step's token, its claims, or an identity put together from flags.
package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

// Options say whose trust explain and check are about.
func Options() []cli.Option {
	const uuid, isUUID = `(?i)\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?`, "a UUID, with or without braces"
	return []cli.Option{
		{Name: "token-file", Value: "FILE", File: true, Usage: "the identity that the token in FILE states; - is standard input"},
		{Name: "claims", Value: "FILE", File: true, Usage: "the identity of a token's claims, as JSON in FILE"},
		{Name: "workspace", Value: "SLUG", Pattern: `[0-9A-Za-z_-]+`, Expected: "the workspace as in bitbucket.org/WORKSPACE", Usage: "workspace, as in bitbucket.org/SLUG (describes an identity without a token)"},
		{Name: "workspace-uuid", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "UUID of the workspace"},
		{Name: "repository-uuid", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "UUID of the repository"},
		{Name: "environment-uuid", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "UUID of the step's deployment environment, if it has one"},
		{Name: "branch", Value: "NAME", Usage: "branch that the pipeline runs on"},
		{Name: "audience", Value: "AUD", Many: true, Pattern: `\S+`, Expected: "an audience", Usage: "further audience, as the step has under `audiences:`"},
		{Name: "now", Value: "TIME", Usage: "the time to judge at, such as 2026-11-22T23:00:00Z; without it: now"},
		{Name: "duration", Value: "DURATION", Usage: "the session duration that will be asked for; without it: 1h"},
	}
}

// identity finds the one identity that the command line, or else the step's token, gives. What is wrong is added to the
// arguments' problems.
func Read(ctx context.Context, a *cli.Arguments, now time.Time) bitbucket.Identity {
	var ways []string
	for _, name := range []string{"token-file", "claims"} {
		if a.Given(name) {
			ways = append(ways, "--"+name)
		}
	}
	parts := []string{"workspace", "workspace-uuid", "repository-uuid", "environment-uuid", "branch", "audience"}
	for _, name := range parts {
		if a.Given(name) {
			ways = append(ways, "--"+name+" and the flags that go with it")
			break
		}
	}
	var id bitbucket.Identity
	var err error
	switch {
	case len(ways) > 1:
		err = hint.New("more than one identity: "+strings.Join(ways, ", "), "give one of --token-file, --claims, or --workspace and the flags that go with it")
	case a.Given("token-file"):
		id, err = fromTokenFile(ctx, a)
	case a.Given("claims"):
		id, err = fromClaims(ctx, a)
	case len(ways) == 1:
		id, err = fromParts(a, now)
	default:
		g := a.Vars.Group()
		id = bitbucket.FromToken(g.Token())
		g.Advise("or name the identity with --token-file, --claims, or --workspace and the flags that go with it")
	}
	a.Add(err)
	return id
}

func fromTokenFile(ctx context.Context, a *cli.Arguments) (bitbucket.Identity, error) {
	data, err := cli.ReadFile(ctx, a.Text("token-file"))
	if err != nil {
		return bitbucket.Identity{}, err
	}
	token, err := oidc.Parse(string(data))
	if err != nil {
		return bitbucket.Identity{}, hint.With(fmt.Errorf("--token-file: %w", err), "the file must hold a step's token as Bitbucket sets it; claims go to --claims")
	}
	return bitbucket.FromToken(token), nil
}

func fromClaims(ctx context.Context, a *cli.Arguments) (bitbucket.Identity, error) {
	data, err := cli.ReadFile(ctx, a.Text("claims"))
	if err != nil {
		return bitbucket.Identity{}, err
	}
	id, err := bitbucket.FromClaims(data)
	if err != nil {
		return bitbucket.Identity{}, hint.With(fmt.Errorf("--claims: %w", err), "the file must hold a token's claims as a JSON object; a token goes to --token-file")
	}
	return id, nil
}

func fromParts(a *cli.Arguments, now time.Time) (bitbucket.Identity, error) {
	var missing []string
	for _, name := range []string{"workspace", "workspace-uuid", "repository-uuid"} {
		if !a.Given(name) {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		verb := " is"
		if len(missing) > 1 {
			verb = " are"
		}
		return bitbucket.Identity{}, hint.New("incomplete identity: "+strings.Join(missing, " and ")+verb+" missing",
			"Repository settings → Pipelines → OpenID Connect shows the UUIDs")
	}
	if a.Err() != nil {
		return bitbucket.Identity{}, nil // they say more than the claims would
	}
	return bitbucket.Parts{
		Workspace: a.Text("workspace"), WorkspaceUUID: a.Text("workspace-uuid"), RepositoryUUID: a.Text("repository-uuid"),
		EnvironmentUUID: a.Text("environment-uuid"), Branch: a.Text("branch"), Audiences: a.Texts("audience"), Now: now,
	}.Identity()
}

// WarnExpired warns that the token is judged though no cloud accepts it any more.
func WarnExpired(c *cli.Console, id bitbucket.Identity, now time.Time) {
	if e := id.Expired(now); e != "" {
		c.Warn(e + ": it is judged as it was")
	}
}

// shortestSession and longestSession bound a session (STS API Reference, AssumeRoleWithWebIdentity).
const (
	shortestSession = 15 * time.Minute
	longestSession  = 12 * time.Hour
)

// Duration is the session duration of --duration, as AWS_SESSION_DURATION may have it.
func Duration(a *cli.Arguments) time.Duration {
	if !a.Given("duration") {
		return time.Hour
	}
	d, err := config.ParseDuration(a.Text("duration"))
	if err != nil || d < shortestSession || d > longestSession || d%time.Second != 0 {
		a.Wrong("duration", "expected the duration of an AWS session, 15m to 12h, in whole seconds")
	}
	return d
}
