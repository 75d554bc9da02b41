// Package identity reads the identity that a command is about: from a step's token, from claims, or put together from flags.
package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

// Options are the flags that name the identity, and the time and the session duration that go with it.
func Options() []cli.Option {
	const bare, isUUID = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "a UUID, with or without braces"
	const uuid = `(?i)(` + bare + `|\{` + bare + `\})`
	return []cli.Option{
		{Name: "token-file", Value: "FILE", File: true, Usage: "the identity that the token in FILE states; - is standard input"},
		{Name: "claims", Value: "FILE", File: true, Usage: "the identity of a token's claims, as JSON in FILE"},
		{Name: "workspace", Value: "SLUG", Pattern: `[0-9A-Za-z_-]+`, Expected: "the workspace as in bitbucket.org/WORKSPACE",
			Usage: "workspace, as in bitbucket.org/SLUG (describes an identity without a token)"},
		{Name: "workspace-uuid", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "UUID of the workspace"},
		{Name: "repository-uuid", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "UUID of the repository"},
		{Name: "environment-uuid", Value: "UUID", Pattern: uuid, Expected: isUUID, Usage: "UUID of the step's deployment environment, if it has one"},
		{Name: "branch", Value: "NAME", Usage: "branch that the pipeline runs on"},
		{Name: "audience", Value: "AUD", Many: true, Pattern: `\S+`, Expected: "an audience", Usage: "further audience, as the step has under `audiences:`"},
		{Name: "now", Value: "TIME", Usage: "the time to judge at, such as 2026-11-22T23:00:00Z; without it: now"},
		{Name: "duration", Value: "DURATION", Usage: "the session duration that will be asked for; without it: 1h"},
	}
}

// A source is a way in which a command line names an identity.
type source struct {
	name  string   // in messages
	flags []string // each selects the source
	read  func(ctx context.Context, a *cli.Arguments, now time.Time) (bitbucket.Identity, error)
}

// sources are the ways in which flags name an identity. Without such a flag it is the identity of the step's token.
func sources() []source {
	return []source{
		{"--token-file", []string{"token-file"}, fromTokenFile},
		{"--claims", []string{"claims"}, fromClaims},
		{"--workspace and the flags that go with it",
			[]string{"workspace", "workspace-uuid", "repository-uuid", "environment-uuid", "branch", "audience"}, fromParts},
	}
}

// choices are the sources in one line of advice.
const choices = "--token-file, --claims, or --workspace and the flags that go with it"

// Read returns the one identity that the command line gives, or else the identity of the step's token. If there is not exactly one, or it
// cannot be read, Read adds a problem to the arguments, and the identity is empty.
func Read(ctx context.Context, a *cli.Arguments, now time.Time) bitbucket.Identity {
	chosen, err := choose(a)
	if err != nil {
		a.Add(err)
		return bitbucket.Identity{}
	}
	id, err := chosen.read(ctx, a, now)
	a.Add(err)
	return id
}

// choose picks the one source that the command line has flags of.
func choose(a *cli.Arguments) (source, error) {
	given := slices.DeleteFunc(sources(), func(s source) bool { return !slices.ContainsFunc(s.flags, a.Given) })
	switch len(given) {
	case 0:
		return source{read: fromStep}, nil
	case 1:
		return given[0], nil
	}
	var names []string
	for _, s := range given {
		names = append(names, s.name)
	}
	return source{}, hint.New("more than one identity: "+strings.Join(names, ", "), "give one of "+choices)
}

// fromStep reads the token of the step from the environment. Its problems are among the problems of the variables.
func fromStep(_ context.Context, a *cli.Arguments, _ time.Time) (bitbucket.Identity, error) {
	g := a.Vars.Group()
	id := bitbucket.FromToken(g.Token())
	g.Advise("or name the identity with " + choices)
	return id, nil
}

func fromTokenFile(ctx context.Context, a *cli.Arguments, _ time.Time) (bitbucket.Identity, error) {
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

func fromClaims(ctx context.Context, a *cli.Arguments, _ time.Time) (bitbucket.Identity, error) {
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

// fromParts puts an identity together from flags, before any pipeline ran.
func fromParts(_ context.Context, a *cli.Arguments, now time.Time) (bitbucket.Identity, error) {
	var missing []string
	for _, name := range []string{"workspace", "workspace-uuid", "repository-uuid"} {
		if !a.Given(name) {
			missing = append(missing, "--"+name)
		}
	}
	const where = "Repository settings → Pipelines → OpenID Connect shows the UUIDs"
	switch last := len(missing) - 1; {
	case last == 0:
		return bitbucket.Identity{}, hint.New("incomplete identity: "+missing[0]+" is missing", where)
	case last > 0:
		all := strings.Join(missing[:last], ", ") + " and " + missing[last]
		return bitbucket.Identity{}, hint.New("incomplete identity: "+all+" are missing", where)
	case a.Err() != nil: // a value that is wrong is a problem already, and would be a second one as a claim
		return bitbucket.Identity{}, nil
	}
	return bitbucket.Parts{
		Workspace: a.Text("workspace"), WorkspaceUUID: a.Text("workspace-uuid"), RepositoryUUID: a.Text("repository-uuid"),
		EnvironmentUUID: a.Text("environment-uuid"), Branch: a.Text("branch"), Audiences: a.Texts("audience"), Now: now,
	}.Identity()
}

// WarnExpired warns that the token is judged although no cloud accepts it any more.
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
